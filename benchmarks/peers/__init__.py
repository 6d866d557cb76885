"""The originals' algorithms, restated in plain torch to be compared with."""
