#!/usr/bin/env bash
# Measures a machine with a GPU, with what is installed there: downloads nothing, ends in ten minutes.
#
#   benchmarks/gpu.sh [OUT.json]    all suites on the GPU; goes on with OUT.json if it was begun;
#                                   writes the slowest kernels to OUT-kernels.txt
#   benchmarks/gpu.sh --dry-run     the same with the smallest sizes on the CPU, "exact" alone
#
# Calls python3, or what PYTHON names.
set -euo pipefail

case "${1:-}" in
  --dry-run) ;;
  -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0" && exit ;;
  -*) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
if [ "${1:-}" = --dry-run ]; then
  out=$(mktemp -d)/dry-run.json size=(--quick --device cpu) profiled=(stylegan2-32 2)
  export JAX_PLATFORMS=cpu
else
  out=$(realpath -m "${1:-gpu.json}") size=(--suite all --device gpu)
  profiled=(stylegan2-1024 8)
  export XLA_PYTHON_CLIENT_MEM_FRACTION=0.45 # of the GPU's memory; torch needs some, too
fi
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

"$python" - "${size[-1]}" <<'CHECK'
import importlib.util
import sys

device = sys.argv[1]
needed = "jax flax optax numpy scipy sklearn threadpoolctl torch orbax safetensors jaxtyping einops"
needed += " PIL tqdm click"
missing = [name for name in needed.split() if importlib.util.find_spec(name) is None]
if missing:
    sys.exit(f"missing: {', '.join(missing)}; install them (sklearn is scikit-learn, PIL pillow)")
import jax
import torch

print("jax", jax.__version__, *jax.devices())
gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
print("torch", torch.__version__, *(gpus or ["cpu"]))
if device == "gpu" and not (jax.default_backend() == "gpu" and gpus):
    sys.exit("jax and torch must both see a GPU; install the CUDA builds of both")
CHECK

status=0
timeout 440 "$python" -m benchmarks run "${size[@]}" --out "$out" || status=$?
[ $status = 124 ] && echo "time is up: call again with $out for the cases not reached" >&2
[ -f "$out" ] && "$python" -m benchmarks table "$out"
for precision in exact fast; do
  timeout 50 "$python" -m benchmarks kernels "${profiled[0]}" --batch "${profiled[1]}" \
    --precision "$precision" || echo "kernels in $precision precision: not measured"
done >"${out%.json}-kernels.txt"
cat "${out%.json}-kernels.txt"
echo "results: $out, ${out%.json}-kernels.txt" >&2
[ $status = 124 ] || exit $status
