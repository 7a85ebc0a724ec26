#!/usr/bin/env bash
# Amx.sh checks and measures products on AMX on another machine, which needs no Go and no network.
#
#   bench/amx.sh bundle            here, with Go: makes data/amx (ignored by git), which is all that the other machine
#                                  needs besides the repository
#   bench/amx.sh -o FOLDER [PART ...]   there; output and lines of verdict are left in FOLDER. Parts: tests (of variant
#                                  amx, on the processor itself), peak (ceilings), layers (of ResNet-18 and -50, by
#                                  variants), products
#
# All of it takes less than three minutes on 16 cores. Exit code: 0 if all went well, 1 if a test failed.
set -u
cd "$(dirname "$0")/.." || exit 1

BUNDLE=${BUNDLE:-data/amx}
WORK=${WORK:-/tmp/amx-bench}
TESTS=(cpu kernel/product kernel/conv kernel/token)

bundle() {
  set -e
  local made name
  made=$(mktemp -d)
  mkdir -p "$BUNDLE"
  export CGO_ENABLED=0 GOFLAGS=-trimpath
  go build -ldflags '-s -w' -o "$made/vicreg" ./cmd/vicreg
  for name in "${TESTS[@]}"; do
    go test -c -ldflags '-s -w' -o "$made/${name#kernel/}.test" "./internal/$name"
  done
  XZ_OPT=-3 tar -C "$made" -cJf "$BUNDLE/bin.tar.xz" .
  rm -rf "$made"
  ls -l "$BUNDLE"
}

failed=0

say() { # verdict, words
  printf '%-5s %4ss  %s\n' "$1" $((SECONDS - began)) "$2" | tee -a "$OUT/verdicts.txt"
  [ "$1" != FAIL ] || failed=1
}

# check runs the tests of a package that run in every variant, in variant amx, and those named besides.
check() { # package, tests
  local name=${1#kernel/} code
  (cd "internal/$1" && timeout -k 5 60 "$WORK/$name.test" -test.v -test.run "$2") >"$OUT/test-$name.txt" 2>&1
  code=$?
  if [ $code != 0 ]; then
    say FAIL "tests of $name: exit code $code, $(grep -c -- '--- FAIL' "$OUT/test-$name.txt") failed"
  elif ! grep -q -- '--- PASS.*/amx' "$OUT/test-$name.txt" && [ "$name" != cpu ]; then
    say FAIL "tests of $name: none ran in variant amx"
  else
    say ok "tests of $name: $(grep -c -- '--- PASS' "$OUT/test-$name.txt") passed"
  fi
}

# peak measures ceilings in every variant, on one thread and on all.
peak() {
  local threads variant precision
  for threads in 1 "$(nproc)"; do
    for variant in amx avx512 avx2; do
      for precision in float32 bf16; do
        printf '%s threads, %s, %s: ' "$threads" "$variant" "$precision"
        VICREG_CPU=$variant "$WORK/vicreg" bench peak --precision $precision --threads "$threads" --steps 5 2>&1 | tail -n 1
      done
    done
  done >"$OUT/peak.txt"
  sed 's/^/      /' "$OUT/peak.txt"
  say ok "ceilings"
}

# bench runs benchmarks of a package.
bench() { # package, benchmarks, time of each, seconds in all
  local name=${1#kernel/}
  (cd "internal/$1" && timeout -k 5 "$4" "$WORK/$name.test" -test.run '^$' -test.bench "$2" -test.benchtime "$3") \
    >"$OUT/bench-$name.txt" 2>&1
  grep '^Benchmark' "$OUT/bench-$name.txt" | sed 's/^/      /'
  say ok "benchmarks of $name: $(grep -c '^Benchmark' "$OUT/bench-$name.txt")"
}

case ${1:-} in
bundle)
  bundle
  exit
  ;;
-o)
  OUT=${2:?a folder}
  ;;
*)
  sed -n '2,10s/^# \{0,1\}//p' "$0"
  exit 2
  ;;
esac
mkdir -p "$OUT" "$WORK"
OUT=$(cd "$OUT" && pwd)
began=$SECONDS
tar -C "$WORK" -xJf "$BUNDLE/bin.tar.xz" || exit 1
{ grep -m 1 'model name' /proc/cpuinfo && nproc && grep -m 1 -o 'amx_[a-z0-9]*' /proc/cpuinfo &&
  "$WORK/vicreg" info --devices; } 2>&1 | tee "$OUT/info.txt" | sed 's/^/      /'
shift 2
[ $# -gt 0 ] || set -- tests peak layers products
for part; do
  case $part in
  tests)
    check cpu '.'
    check kernel/product '^(TestPairs|TestPairsRows|TestGemmPairs|TestMultiplyRuns|TestPeak)$/^(amx|avx512)$'
    check kernel/conv '^(TestTiled.*|TestConvBF16|TestConvHalf|TestConvInferHalf|TestLinearBF16)$/^(amx|avx512|n.*)$'
    check kernel/token '^(TestAttentionBF16|TestDenseBF16)$'
    ;;
  peak) peak ;;
  layers) bench kernel/conv '^BenchmarkLayers$' 30ms 70 ;;
  products) bench kernel/product '^BenchmarkGemm$/^(pairs|NN|NT|TN)$' 50ms 40 ;;
  *) echo "amx.sh: there is no part $part" >&2; exit 2 ;;
  esac
done
exit $failed
