#!/usr/bin/env bash
# Cores.sh measures vicreg beside PyTorch on another machine, which needs Python with PyTorch and torchvision but no Go
# and no network: the rows of bench's table for two threads and for many.
#
#   bench/cores.sh bundle                   here, with Go: makes data/cores (ignored by git), which is all that the
#                                           other machine needs besides the repository
#   bench/cores.sh -o FOLDER PART ...       there; tables, output and lines of verdict are left in FOLDER
#
# Parts, each under three minutes on 16 cores; without a name all of them, one after the other:
#   info        what there is                            5 s
#   step18      steps of ResNet-18 at 32 px              many threads
#   step50      steps of ResNet-50 at 224 px             many threads
#   infer50     inference of ResNet-50                   many threads
#   gain        our own step on many threads over two
#   views       two views of JPEG files                  one core
#   two18, two50, two50bf16, twoinfer50                  the same rows on two threads
#   infer18, loss, twoinfer18, twoloss                   rows without a goal of many threads
#   many, two   all rows of networks with a goal, on many threads and on two: PyTorch is imported once a part
#
# THREADS=16 says how many are many, ROUNDS=2 how often each side is visited, PYTHON which Python (else the one with
# the newest PyTorch), LIMIT=175 the seconds of a part; one that takes longer leaves what it has measured.
# Exit code: 0 if all went well, whether goals were met or not; 1 if a part failed.
set -u
cd "$(dirname "$0")/.." || exit 1

BUNDLE=${BUNDLE:-data/cores}
WORK=${WORK:-/tmp/vicreg-cores} # where it is unpacked
THREADS=${THREADS:-16}
ROUNDS=${ROUNDS:-2}
LIMIT=${LIMIT:-175}
PYTHON=${PYTHON:-}

bundle() {
  set -e
  local made
  made=$(mktemp -d)
  mkdir -p "$BUNDLE"
  export CGO_ENABLED=0 GOFLAGS=-trimpath
  go build -tags native -ldflags '-s -w' -o "$made/vicreg" ./cmd/vicreg
  go build -tags native -ldflags '-s -w' -o "$made/bench" ./bench
  local library
  for library in /usr/lib/*/libturbojpeg.so.0; do
    [ ! -e "$library" ] || cp -L "$library" "$made/"
  done
  XZ_OPT=-3 tar -C "$made" -cJf "$BUNDLE/bin.tar.xz" .
  rm -rf "$made"
  ls -l "$BUNDLE"
}

say() { # verdict, words
  printf '%-5s %4ss  %s\n' "$1" $((SECONDS - began)) "$2" | tee -a "$OUT/verdicts.txt"
  [ "$1" != FAIL ] || failed=1
}

# rows measures those rows of bench's table whose name a regular expression finds.
rows() { # part, threads, regular expression, more flags
  local part=$1 threads=$2 match=$3
  shift 3
  timeout -k 5 "$LIMIT" "$WORK/bench" -vicreg "$WORK/vicreg" ${PYTHON:+-python "$PYTHON"} -threads "$threads" \
    -serve -rounds "$ROUNDS" -run "$match" "$@" >"$OUT/$part.md" 2>"$OUT/$part.txt"
  local code=$?
  sed 's/^/      /' "$OUT/$part.md"
  local missed met
  missed=$(grep -o 'missed' "$OUT/$part.md" | wc -l) met=$(grep -oE ' met\b' "$OUT/$part.md" | wc -l)
  if [ $code != 0 ]; then
    say FAIL "$part: exit code $code: $(tail -n 1 "$OUT/$part.txt"); $met goals met, $missed missed before"
  elif [ "$missed" != 0 ]; then
    say told "$part: $met goals met, $missed missed"
  else
    say ok "$part: $met goals met"
  fi
}

info() {
  { grep -m 1 'model name' /proc/cpuinfo && nproc && "$WORK/vicreg" info --devices; } >"$OUT/info.txt" 2>&1
  sed 's/^/      /' "$OUT/info.txt"
  say ok "info: $(grep -m 1 instructions "$OUT/info.txt" | xargs)"
}

part() {
  local none='^$'
  case $1 in
  info) info ;;
  many) rows many "$THREADS" '^inference, ResNet-50|step, ResNet-(18( \(|, bf16)|50)' ;;
  two) rows two 2 '^inference, ResNet-50|step, ResNet-(18( \(|, bf16)|50)' ;;
  step18) rows step18 "$THREADS" 'step, ResNet-18( \(|, bf16)' ;;
  step50) rows step50 "$THREADS" 'step, ResNet-50' ;;
  infer50) rows infer50 "$THREADS" '^inference, ResNet-50' ;;
  infer18) rows infer18 "$THREADS" '^inference, ResNet-18' ;;
  gain) rows gain "$THREADS" "$none" -gain ;;
  loss) rows loss "$THREADS" '^loss|width 16' ;;
  views) rows views "$THREADS" '^two views' ;;
  two18) rows two18 2 'step, ResNet-18( \(|, bf16)' ;;
  two50) rows two50 2 'step, ResNet-50, 224' ;;
  two50bf16) rows two50bf16 2 'step, ResNet-50, bf16' ;;
  twoinfer50) rows twoinfer50 2 '^inference, ResNet-50' ;;
  twoinfer18) rows twoinfer18 2 '^inference, ResNet-18' ;;
  twoloss) rows twoloss 2 '^loss|width 16' ;;
  *) echo "cores.sh: there is no part $1" >&2; exit 2 ;;
  esac
}

if [ "${1:-}" = bundle ]; then
  bundle
  exit
fi
[ "${1:-}" = -o ] && [ $# -ge 2 ] || { sed -n '2,/^set -u/p' "$0" | sed 's/^# \{0,1\}//;/^set -u/d' >&2; exit 2; }
mkdir -p "$2" "$WORK" || exit 1
OUT=$(cd "$2" && pwd) failed=0
shift 2
[ -e "$BUNDLE/bin.tar.xz" ] || { echo "cores.sh: no $BUNDLE/bin.tar.xz; make it by bench/cores.sh bundle where there is Go" >&2; exit 1; }
"${PYTHON:-python3}" -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$BUNDLE/bin.tar.xz" "$WORK" || exit 1
[ ! -e "$WORK/libturbojpeg.so.0" ] || export VICREG_LIB=$WORK
[ $# -gt 0 ] || set -- info step18 step50 infer50 gain views two18 two50 two50bf16 twoinfer50 infer18 loss twoinfer18 twoloss
for p; do
  began=$SECONDS
  part "$p"
done
exit $failed
