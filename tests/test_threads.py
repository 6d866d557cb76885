"""The limit of BLAS threads, which several threads may be within at once."""

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from jaxlatent.threads import one_blas_thread


def blas() -> set[int]:
    return {p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"}


def test_the_limit_ends_with_the_last_to_leave_and_not_before():
    with threadpool_limits(2, user_api="blas"):
        first, second = one_blas_thread(), one_blas_thread()
        first.__enter__()
        assert blas() == {1}
        second.__enter__()
        first.__exit__(None, None, None)
        assert blas() == {1}
        second.__exit__(None, None, None)
        assert blas() == {2}


def test_an_error_within_ends_the_limit():
    with threadpool_limits(2, user_api="blas"):
        with pytest.raises(KeyboardInterrupt), one_blas_thread():
            raise KeyboardInterrupt
        assert blas() == {2}
