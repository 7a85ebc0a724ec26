#!/usr/bin/env bash
# Scaling.sh measures on a machine with many cores, without Go and network, what more threads gain and what holds
# them up: times at 1, 2, 4, 8 … threads, beside what `vicreg bench step --scaling` reckons from one, and processor
# profiles at all of them.
#
#   bench/cores.sh bundle                     here, with Go: makes data/cores, which is all that is needed there
#   bench/scaling.sh -o FOLDER [PART ...]     there; about three minutes on 16 cores for all parts
#
# Parts: small (ResNet-18, 32 px, batch 128), large (ResNet-50, 224 px, batch 16), narrow (width 16, 28 px, batch 256),
# loss (n = 256, d = 8192), token (ViT-tiny, 32 px), embed (inference of ResNet-18), and kinds: the narrow network with
# and without 512-bit instructions and Winograd's algorithm, on one thread and two, beside the ceilings of each.
#
# FOLDER/times.txt has a line for each measurement: part, threads, seconds, gain over one thread. PART.txt has the
# report of --scaling at all threads, PART.json the same for programs, PART.prof a profile (go tool pprof).
# THREADS=16 says how many are all (else those that there are), LIMIT=45 the seconds of one measurement, after which
# it is left out and named. Exit code: 0, or 1 if something was left out.
set -u
cd "$(dirname "$0")/.." || exit 1

BUNDLE=${BUNDLE:-data/cores}
WORK=${WORK:-/tmp/vicreg-cores} # as in cores.sh
THREADS=${THREADS:-$(nproc)}
LIMIT=${LIMIT:-45}

[ "${1:-}" = -o ] && [ $# -ge 2 ] || { sed -n '2,/^set -u/p' "$0" | sed 's/^# \{0,1\}//;/^set -u/d' >&2; exit 2; }
mkdir -p "$2" "$WORK" || exit 1
OUT=$(cd "$2" && pwd) failed=0
shift 2
VICREG=${VICREG:-$WORK/vicreg}
if [ ! -x "$VICREG" ]; then
  if [ ! -e "$BUNDLE/bin.tar.xz" ]; then
    echo "scaling.sh: no $BUNDLE/bin.tar.xz; make it by bench/cores.sh bundle where there is Go, or name a vicreg by VICREG=" >&2
    exit 1
  fi
  python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$BUNDLE/bin.tar.xz" "$WORK" ||
    exit 1
fi

work() { # part: the benchmark
  case $1 in
  small) echo step ;;
  large) echo step --encoder resnet50 --stem imagenet --size 224 --batch 16 --expander 8192-8192-8192 ;;
  narrow | kinds) echo step --width 16 --size 28 --channels 1 --batch 256 --expander 512-512-512 ;;
  loss) echo loss ;;
  token) echo step --encoder vit-tiny --size 32 --batch 64 ;;
  embed) echo embed ;;
  *) echo "scaling.sh: there is no part $1" >&2; return 1 ;;
  esac
}

left() { # what
  echo "$1: left out, it takes more than $LIMIT s or failed" | tee -a "$OUT/times.txt"
  failed=1
}

# seconds prints the least time of a step.
seconds() { # threads, benchmark
  timeout -k 5 "$LIMIT" "$VICREG" bench "${@:2}" --threads "$1" --json 2>>"$OUT/errors.txt" |
    python3 -c 'import json, sys; print("%.4f" % json.load(sys.stdin)["min_s"])' 2>/dev/null
}

part() {
  local name=$1 args one s n
  args=$(work "$name") || exit 2
  one=
  for ((n = 1; n <= THREADS; n *= 2)); do
    if [ "$name" = large ] && [ $n != 1 ] && [ $n != 2 ] && [ $((2 * n)) -le "$THREADS" ]; then
      continue # they take long
    fi
    s=$(seconds $n $args --steps 3)
    if [ -z "$s" ]; then left "$name on $n threads"; continue; fi
    one=${one:-$s}
    echo "$name $n $s $(python3 -c "print('%.2f' % ($one / $s))")" | tee -a "$OUT/times.txt"
  done
  timeout -k 5 "$LIMIT" "$VICREG" bench $args --threads "$THREADS" --steps 1 --scaling >"$OUT/$name.txt" \
    2>>"$OUT/errors.txt" || left "$name, report"
  timeout -k 5 "$LIMIT" "$VICREG" bench $args --threads "$THREADS" --steps 1 --scaling --json >"$OUT/$name.json" \
    2>>"$OUT/errors.txt" || left "$name, report for programs"
  rm -f "$OUT/$name.prof"
  timeout -k 5 "$LIMIT" "$VICREG" bench $args --threads "$THREADS" --steps 10 --cpuprofile "$OUT/$name.prof" \
    >/dev/null 2>>"$OUT/errors.txt" || left "$name, profile"
  sed -n '1,14p' "$OUT/$name.txt"
}

kinds() {
  local args n s cpu winograd
  args=$(work kinds)
  for n in 1 2; do
    for cpu in avx2 avx512; do
      s=$(VICREG_CPU=$cpu timeout "$LIMIT" "$VICREG" bench peak --threads $n --json 2>/dev/null | tr -d ' \n')
      echo "ceiling $cpu $n threads: $s" | tee -a "$OUT/times.txt"
      for winograd in 1 0; do
        s=$(VICREG_CPU=$cpu VICREG_WINOGRAD=$winograd seconds $n $args --steps 5)
        if [ -z "$s" ]; then left "narrow, $cpu, winograd $winograd, $n threads"; continue; fi
        echo "narrow $cpu winograd=$winograd $n threads: $s" | tee -a "$OUT/times.txt"
      done
    done
  done
}

{ grep -m 1 'model name' /proc/cpuinfo; nproc; lscpu; cat /sys/fs/cgroup/cpu.max; } >"$OUT/info.txt" 2>/dev/null
[ $# -gt 0 ] || set -- small narrow loss embed kinds token large
for p; do
  began=$SECONDS
  if [ "$p" = kinds ]; then kinds; else part "$p"; fi
  echo "      $p: $((SECONDS - began)) s"
done
exit $failed
