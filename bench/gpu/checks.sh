#!/usr/bin/env bash
# Checks.sh does every check that needs an NVIDIA card and prints a line of verdict for each.
#
#   bench/gpu/checks.sh bundle                here, with Go: makes data/gpu (ignored by git), which is all that the
#                                             other machine needs besides the repository
#   bench/gpu/checks.sh -o FOLDER PART ...    there, with Python and PyTorch but without Go or a network; results,
#                                             output and lines of verdict are left in FOLDER
#
# Parts, with what they need of data/gpu (bin.tar.xz is needed by all) and about how long they take on an H100:
#   info      what there is                                                               3 s
#   tests     the compiled tests, on the card             tests.tar.xz                   40 s
#   table     bench/gpu's table; TABLE chooses rows                                     300 s
#   waits     the share of time that the card waits       photos.tar                     60 s
#   recipe    Fashion-MNIST beside PyTorch                fashion.tar.xz   by RECIPE_EPOCHS
#   methods   the loss of every method beside the processor's                            60 s
#   pieces    batches in pieces, and a classifier on an encoder, beside the processor's   30 s
#   ranks     two processes on the card, which mpirun starts if there is one, beside one  40 s
#   bits      killed and resumed, on the card; moved                                     90 s
#   luck      bad luck that can be provoked                                              60 s
#
# Each part has a limit in seconds, LIMIT_tests and so on. What can be set by the environment stands below, with
# its default. DEVICE=cpu tries the script out where there is no card, with everything made small.
# Exit code: 0 if all went well, 1 if a check failed.
set -u
cd "$(dirname "$0")/../.." || exit 1

BUNDLE=${BUNDLE:-data/gpu}                     # what bundle makes
WORK=${WORK:-/tmp/checks}                      # where it is unpacked and runs are written
DEVICE=${DEVICE:-cuda}
PYTHON=${PYTHON:-python3}
PHOTOS=${PHOTOS:-/tmp/photos/c5000}            # bundle: a folder of JPEG files,
PHOTO_MB=${PHOTO_MB:-20}                       # of which so many MB are taken
FASHION=${FASHION:-/usr/share/datasets/fashion-mnist} # bundle: the idx files
COPIES=${COPIES:-10}                           # waits: of each photo
EPOCHS=${EPOCHS:-4}                            # waits: the first is left out of the share
TABLE=${TABLE:-.}                              # table: a regular expression
RECIPE_EPOCHS=${RECIPE_EPOCHS:-100}
RECIPE_SEEDS=${RECIPE_SEEDS:-1 2}
RECIPE_PRECISION=${RECIPE_PRECISION:-bf16}
RECIPE_IMAGES=${RECIPE_IMAGES:-60000}
RECIPE_WAY=${RECIPE_WAY:-graph}                # PyTorch's: graph, compile or eager
RECIPE_AT_ONCE=${RECIPE_AT_ONCE:-1}            # 0: one run after another, so that times can be compared
BITS=${BITS:-vicreg:resnet50 byol:resnet18}    # methods, each with an encoder
RANKS=${RANKS:-vicreg byol moco-v2 swav deepcluster} # methods
KILLS=${KILLS:-2}                              # of each run, before it is let go on to its end
SEED=${SEED:-$RANDOM}                          # of the moments when runs are killed
LIMIT_info=${LIMIT_info:-30} LIMIT_tests=${LIMIT_tests:-150} LIMIT_table=${LIMIT_table:-540}
LIMIT_waits=${LIMIT_waits:-120} LIMIT_recipe=${LIMIT_recipe:-540} LIMIT_bits=${LIMIT_bits:-180}
LIMIT_methods=${LIMIT_methods:-150} LIMIT_pieces=${LIMIT_pieces:-100} LIMIT_ranks=${LIMIT_ranks:-100} LIMIT_luck=${LIMIT_luck:-150}

small=()        # of runs where there is no card
waitFlags=(--recipe imagenet-100ep --precision bf16 --batch 256)
if [ "$DEVICE" = cpu ]; then
  small=(--width 2 --expander 8-8 --batch 32 --limit 96)
  waitFlags=(--recipe imagenet-100ep --encoder resnet18 --width 2 --expander 8-8 --size 32 --batch 32)
fi

bundle() {
  set -e
  mkdir -p "$BUNDLE"
  local made
  made=$(mktemp -d)
  export CGO_ENABLED=0 GOFLAGS=-trimpath
  mkdir "$made/bin" "$made/tests" "$made/photos" "$made/fashion"
  go build -tags native -ldflags '-s -w' -o "$made/bin/vicreg" ./cmd/vicreg
  go build -tags native -ldflags '-s -w' -o "$made/bin/gpu" ./bench/gpu
  for p in cuda cuda/card cuda/sim model method train; do
    go test -c -tags native -ldflags '-s -w' -o "$made/tests/${p##*/}.test" "./internal/$p"
  done
  XZ_OPT=-3 tar -C "$made" -cJf "$BUNDLE/bin.tar.xz" bin
  XZ_OPT=-3 tar -C "$made" -cJf "$BUNDLE/tests.tar.xz" tests
  if [ -d "$FASHION" ] && [ ! -e "$BUNDLE/fashion.tar.xz" ]; then
    for f in "$FASHION"/*-ubyte*; do
      case $f in
      *.gz) gzip -dc "$f" >"$made/fashion/$(basename "$f" .gz)" ;;
      *) cp "$f" "$made/fashion/" ;;
      esac
    done
    tar -C "$made" -cJf "$BUNDLE/fashion.tar.xz" fashion
  fi
  if [ -d "$PHOTOS" ] && [ ! -e "$BUNDLE/photos.tar" ]; then
    local total=0 f
    while read -r f; do
      total=$((total + $(stat -L -c %s "$f")))
      [ "$total" -le $((PHOTO_MB * 1000000)) ] || break
      cp -L "$f" "$made/photos/"
    done < <(find -L "$PHOTOS" -type f -iname '*.jp*g' | sort)
    tar -C "$made" -cf "$BUNDLE/photos.tar" photos
  fi
  rm -rf "$made"
  ls -l "$BUNDLE"
}

unpack() { # archive
  [ -e "$BUNDLE/$1" ] || { echo "no $BUNDLE/$1" >&2; return 1; }
  "$PYTHON" -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$BUNDLE/$1" "$WORK"
}

say() { # verdict, words
  printf '%-5s %4ss  %s\n' "$1" $((SECONDS - began)) "$2" | tee -a "$OUT/verdicts.txt"
  [ "$1" != FAIL ] || touch "$OUT/failed"
}

# left prints how many seconds of a part are left, at least 1.
left() { echo $((limit - (SECONDS - began) > 1 ? limit - (SECONDS - began) : 1)); }

within() { timeout -k 5 "$(left)" "$@"; }

# expect runs a command that must end with an exit code and say something, in few lines and in plain words.
expect() { # name, code, regular expression, command ...
  local name=$1 code=$2 words=$3 got
  shift 3
  within "$@" >"$OUT/luck-$name.out" 2>"$OUT/luck-$name.txt" </dev/null
  got=$?
  local said
  said=$(grep -v '^$' "$OUT/luck-$name.txt" | tail -n 1)
  if [ "$got" != "$code" ]; then
    say FAIL "luck: $name: exit code $got, not $code: $said"
  elif ! grep -qE -- "$words" "$OUT/luck-$name.txt"; then
    say FAIL "luck: $name: does not say what was to be said: $said"
  elif grep -qE 'goroutine|panic|runtime error|\.go:[0-9]|\[signal' "$OUT/luck-$name.txt"; then
    say FAIL "luck: $name: talks as a program does: $said"
  else
    say ok "luck: $name: $said"
  fi
}

info() {
  within "$vicreg" info --devices >"$OUT/info.txt" 2>&1
  sed 's/^/      /' "$OUT/info.txt"
  if [ "$DEVICE" = cpu ] || { grep -q '^cuda' "$OUT/info.txt" && ! grep -q 'not usable' "$OUT/info.txt"; }; then
    say ok "info: $(grep '^cuda' "$OUT/info.txt" | head -n 1)"
  else
    say FAIL "info: $(grep '^cuda' "$OUT/info.txt")"
  fi
}

tests() {
  unpack tests.tar.xz || { say skip "tests"; return; }
  local t args
  for t in card sim cuda method model train; do
    case $t in
    card) args=(-test.short) ;;
    sim) args=(-test.run '^TestSame') ;; # instructions and products, here and on the host
    cuda) args=(-card) ;;
    model) args=(-card -test.run '^TestCard') ;; # golden networks, every encoder
    method) args=(-test.run '^TestCardInRanks$') ;;
    train) args=(-test.run '^TestCard') ;;
    esac
    if [ "$DEVICE" = cpu ]; then
      case $t in
      cuda) args=(-test.short -test.run TestConvForward) ;;
      model) args=(-test.run '^TestCardGolden') ;;
      esac
    fi
    # A test finds its testdata beside it.
    local folder=internal/$t
    case $t in card | sim) folder=internal/cuda/$t ;; esac
    (cd "$folder" && within "$WORK/tests/$t.test" -test.v "${args[@]}") >"$OUT/tests-$t.txt" 2>&1
    local code=$? passed failed skipped
    passed=$(grep -c '^--- PASS' "$OUT/tests-$t.txt") skipped=$(grep -c '^--- SKIP' "$OUT/tests-$t.txt")
    failed=$(grep -- '--- FAIL' "$OUT/tests-$t.txt" | awk '{print $3}' | head -n 5 | xargs)
    if [ $code = 0 ]; then
      say ok "tests: $t: $passed passed, $skipped skipped"
    else
      say FAIL "tests: $t: exit code $code, $passed passed; failed: ${failed:-none, see tests-$t.txt}"
    fi
  done
}

table() {
  within "$WORK/bin/gpu" -vicreg "$vicreg" -python "$PYTHON" -run "$TABLE" >"$OUT/table.md" 2>"$OUT/table.txt"
  local code=$?
  sed 's/^/      /' "$OUT/table.md"
  if [ $code != 0 ]; then
    say FAIL "table: exit code $code: $(tail -n 1 "$OUT/table.txt")"
  elif grep -q 'missed' "$OUT/table.md"; then
    say FAIL "table: $(grep -c 'missed' "$OUT/table.md") goals missed, $(grep -c ' met' "$OUT/table.md") met"
  else
    say ok "table: $(grep -c ' met' "$OUT/table.md") goals met"
  fi
}

waits() {
  [ -d "$WORK/photos" ] || unpack photos.tar || { say skip "waits"; return; }
  local i f
  if [ ! -d "$WORK/many" ]; then
    mkdir "$WORK/many"
    for ((i = 0; i < COPIES; i++)); do
      for f in "$WORK"/photos/*; do cp "$f" "$WORK/many/$i-${f##*/}"; done
    done
  fi
  if [ ! -e "$WORK/many.pack" ]; then
    if ! within "$vicreg" pack --data "$WORK/many" --labels none --size 256 --out "$WORK/many.pack" \
      >"$OUT/waits-packing.txt" 2>&1; then
      say FAIL "waits: $(tail -n 1 "$OUT/waits-packing.txt")"
      return
    fi
  fi
  local kind data most alone
  for kind in pack files; do
    case $kind in
    pack) data=$WORK/many.pack most=0.05 ;;
    files) data=$WORK/many most=0.15 ;;
    esac
    alone=$(within "$vicreg" bench views --data "$data" --size 224 --warmup 0 --steps 2 2>&1 | tail -n 1)
    say told "waits: $kind: $(nproc) processors alone make views: $alone"
    rm -rf "$WORK/run-$kind"
    if ! within "$vicreg" pretrain --data "$data" "${waitFlags[@]}" --labels none --epochs "$EPOCHS" --warmup 1 \
      --device "$DEVICE" --out "$WORK/run-$kind" >"$OUT/waits-$kind.txt" 2>&1; then
      say FAIL "waits: $kind: $(tail -n 1 "$OUT/waits-$kind.txt")"
      continue
    fi
    cp "$WORK/run-$kind/metrics.jsonl" "$OUT/waits-$kind.jsonl"
    "$PYTHON" - "$OUT/waits-$kind.jsonl" $most >"$OUT/waits-$kind.verdict" <<'PY'
import json, sys
epochs = [e for e in map(json.loads, open(sys.argv[1])) if e["event"] == "epoch"]
later = epochs[1:] or epochs
share = sum(e["wait_share"] for e in later) / len(later)
rate = len(later) / sum(1 / e["images_per_second"] for e in later)
each = ", ".join(f"{100 * e['wait_share']:.1f}%" for e in epochs)
most = float(sys.argv[2])
print("ok" if share < most else "FAIL", f"waits {100 * share:.1f}% of the time (to be below {100 * most:.0f}%), "
      f"{rate:.0f} images/s; epoch by epoch {each}", sep="\t")
PY
    say "$(cut -f 1 "$OUT/waits-$kind.verdict")" "waits: $kind: $(cut -f 2 "$OUT/waits-$kind.verdict")"
  done
}

recipe() {
  [ -d "$WORK/fashion" ] || unpack fashion.tar.xz || { say skip "recipe"; return; }
  local seed jobs=() threads
  threads=$(nproc)
  for seed in $RECIPE_SEEDS; do
    rm -rf "$WORK/recipe-$seed"
    within "$vicreg" pretrain --recipe fashion-mnist --data "$WORK/fashion" --limit "$RECIPE_IMAGES" \
      --epochs "$RECIPE_EPOCHS" --seed "$seed" --precision "$RECIPE_PRECISION" --eval-every 0 --device "$DEVICE" \
      --threads "$threads" --out "$WORK/recipe-$seed" >"$OUT/recipe-vicreg-$seed.txt" 2>&1 &
    jobs+=($!)
    [ "$RECIPE_AT_ONCE" = 1 ] || wait $!
    within "$PYTHON" bench/gpu/recipe.py --device "$DEVICE" --folder "$WORK/fashion" --train-images "$RECIPE_IMAGES" \
      --epochs "$RECIPE_EPOCHS" --seed "$seed" --precision "$RECIPE_PRECISION" --way "$RECIPE_WAY" \
      --json "$OUT/recipe-torch-$seed.json" >"$OUT/recipe-torch-$seed.txt" 2>&1 &
    jobs+=($!)
    [ "$RECIPE_AT_ONCE" = 1 ] || wait $!
  done
  wait "${jobs[@]}"
  for seed in $RECIPE_SEEDS; do
    cp "$WORK/recipe-$seed/summary.json" "$OUT/recipe-vicreg-$seed.json" 2>/dev/null
    cp "$WORK/recipe-$seed/metrics.jsonl" "$OUT/recipe-vicreg-$seed.jsonl" 2>/dev/null
  done
  "$PYTHON" - "$OUT" >"$OUT/recipe.md" 2>"$OUT/recipe.err" <<'PY'
import glob, json, statistics, sys
sides = {}
print("| side | seed | kNN | linear probe | untrained | training, s |\n|---|---|---|---|---|---|")
for side in ("torch", "vicreg"):
    for path in sorted(glob.glob(f"{sys.argv[1]}/recipe-{side}-*.json")):
        s = json.load(open(path))
        if s.get("knn") is None:
            continue
        sides.setdefault(side, []).append(s)
        seed = path.rsplit("-", 1)[1].split(".")[0]
        before = f"{100 * s['random_init_knn']:.2f}%, {100 * s['random_init_linear']:.2f}%"
        print(f"| {side} | {seed} | {100 * s['knn']:.2f}% | {100 * s['linear']:.2f}% | {before} "
              f"| {s['train_seconds']:.0f} |")
if len(sides) < 2:
    print("FAIL\tone side has no scores")
    sys.exit()
words, good = [], True
for score in ("knn", "linear"):
    a, b = ([100 * s[score] for s in sides[x]] for x in ("vicreg", "torch"))
    # Runs scatter by 0.3 points at the least: what 10,000 images tell by chance.
    spread = max([0.3] + [statistics.stdev(v) for v in (a, b) if len(v) > 1])
    most = 2 * spread * (1 / len(a) + 1 / len(b)) ** 0.5
    difference = statistics.mean(a) - statistics.mean(b)
    good = good and difference > -most
    words.append(f"{score} {statistics.mean(a):.2f} and {statistics.mean(b):.2f}%, {difference:+.2f} "
                 f"(noise {most:.2f})")
print("ok" if good else "FAIL", "vicreg and PyTorch: " + "; ".join(words), sep="\t")
PY
  sed '$d; s/^/      /' "$OUT/recipe.md"
  local line
  line=$(tail -n 1 "$OUT/recipe.md")
  [ -n "$line" ] || line="FAIL	$(tail -n 1 "$OUT/recipe.err")"
  say "${line%%	*}" "recipe: ${line#*	}"
}

# close holds the loss of a run on the device against that of the same run on the processor, in float32.
close() { # name, the two folders
  local losses=() run
  for run in "$2" "$3"; do
    losses+=("$(sed -n 's/^  "loss": \(.*\),/\1/p' "$run/summary.json" 2>/dev/null)")
  done
  local words="$1: a loss of ${losses[1]:-none} on $DEVICE, ${losses[0]:-none} on the processor"
  if awk -v a="${losses[1]}" -v b="${losses[0]}" \
    'BEGIN { d = a - b; e = 0.02 * (b < 0 ? -b : b) + 0.01; exit !(a != "" && b != "" && d <= e && -d <= e) }'; then
    say ok "$words"
  else
    say FAIL "$words: $(tail -n 1 "$OUT/${1//[: ]/-}.txt")"
  fi
}

# methods holds the loss of a second epoch against the processor's.
methods() {
  local method run device flags
  for method in vicreg barlow-twins byol deepcluster moco-v2 moco-v3 simclr simsiam swav wmse supervised; do
    flags=(--data sample --limit 1024 --epochs 2 --warmup 1 --width 16 --batch 128 --expander 128-32 --eval-every 0)
    [ $method = swav ] && flags+=(--queue 0)
    run=$WORK/method-$method
    rm -rf "$run"-*
    within "$vicreg" pretrain --method $method "${flags[@]}" --device cpu --out "$run-cpu" >/dev/null 2>&1
    within "$vicreg" pretrain --method $method "${flags[@]}" --device "$DEVICE" --out "$run-device" \
      >"$OUT/methods--$method.txt" 2>&1
    close "methods: $method" "$run-cpu" "$run-device"
  done
}

# ranks holds the losses of ten steps of two processes that share the card, whose sums cross by MPI and the host,
# against those of one, at a rate of learning that lets rounding grow little. One process by NCCL is a part of "tests".
ranks() {
  local run=$WORK/ranks method device=$DEVICE flags launcher mpi
  [ "$DEVICE" != cuda ] || device=cuda:0
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  if ! command -v mpirun mpirun.openmpi mpirun.mpich >/dev/null; then
    say skip "ranks: there is no mpirun here"
    return
  fi
  for method in $RANKS; do
    flags=(--data sample --limit 1280 --method $method --epochs 1 --warmup 0 --width 16 --batch 128 --expander 128-32
      --eval-every 0 --base-lr 1e-4 --json --device "$device")
    [ $method = deepcluster ] && flags+=(--epochs 2 --limit 640)
    [ $method = swav ] && flags+=(--queue 0)
    rm -rf "$run"-*
    within "$vicreg" pretrain "${flags[@]}" --out "$run-one" >"$run-one.jsonl" 2>"$OUT/ranks--$method.txt"
    for launcher in mpirun mpirun.openmpi mpirun.mpich; do
      command -v $launcher >/dev/null || continue
      [ $launcher != mpirun.mpich ] || [ $method = "${RANKS%% *}" ] || continue
      mpi=openmpi
      "$launcher" --version 2>&1 | grep -qE 'Open MPI|OpenRTE' || mpi=mpich
      [ ! -e "$run-$mpi.jsonl" ] || continue # mpirun is one of the others
      within "$launcher" -n 2 "$vicreg" pretrain "${flags[@]}" --out "$run-$mpi" >"$run-$mpi.jsonl" 2>>"$OUT/ranks--$method.txt"
      "$PYTHON" - "$run-one.jsonl" "$run-$mpi.jsonl" >"$OUT/ranks.verdict" \
        2>>"$OUT/ranks--$method.txt" <<'PY'
import json, sys
one, two = ([e["loss"] for e in map(json.loads, open(p)) if e.get("event") == "step"]
            for p in sys.argv[1:])
most = max(abs(a - b) / max(1, abs(a)) for a, b in zip(one, two))
good = len(one) == len(two) == 10 and most <= 1e-5
print("ok" if good else "FAIL", f"{len(one)} and {len(two)} losses, which differ by up to {most:.1e}", sep="\t")
PY
      local line
      line=$(cat "$OUT/ranks.verdict")
      [ -n "$line" ] || line="FAIL	$(tail -n 1 "$OUT/ranks--$method.txt")"
      say "${line%%	*}" "ranks: $method, two processes by $mpi on $device and one: ${line#*	}"
    done
  done
}

# pieces does the same for batches in pieces, and for a classifier on an encoder, also on one that is half frozen.
pieces() {
  local name side device run=$WORK/pieces
  rm -rf "$run"-*
  for side in cpu device; do
    device=cpu
    [ $side = cpu ] || device=$DEVICE
    for name in vicreg byol; do
      within "$vicreg" pretrain --data sample --limit 1024 --method $name --epochs 2 --warmup 1 --width 16 --batch 128 \
        --micro-batch 32 --expander 128-32 --eval-every 0 --device "$device" --out "$run-$side-$name" \
        >"$OUT/pieces--$name.txt" 2>&1
    done
    for name in finetune frozen; do
      local freeze=()
      [ $name = finetune ] || freeze=(--freeze "stem,layer1,layer2")
      within "$vicreg" finetune "$run-cpu-vicreg" --data sample --limit 1024 --fraction 1 --epochs 2 "${freeze[@]}" \
        --device "$device" --out "$run-$side-$name" >"$OUT/pieces--$name.txt" 2>&1
    done
  done
  for name in vicreg byol finetune frozen; do close "pieces: $name" "$run-cpu-$name" "$run-device-$name"; done
}

# moment prints seconds between two shares of a time in milliseconds.
moment() { # milliseconds, least per cent, most per cent
  local ms=$(($1 * ($2 + RANDOM % ($3 - $2 + 1)) / 100))
  printf '%d.%03d' $((ms / 1000)) $((ms % 1000))
}

figures() { # run folder: what may not differ between runs that end with the same bits
  "$PYTHON" - "$1/metrics.jsonl" <<'PY'
import json, sys
for e in map(json.loads, open(sys.argv[1])):
    if e["event"] in ("step", "epoch"):
        print({k: v for k, v in e.items() if k not in ("images_per_second", "wait_share", "seconds")})
PY
}

# snapshot copies the folder of a run that goes on, as a kill at this moment would leave it.
snapshot() { # process, from, to
  local waited=0
  while [ ! -e "$2/checkpoint" ] && kill -0 "$1" 2>/dev/null && [ $waited -lt 600 ]; do
    sleep 0.1
    waited=$((waited + 1))
  done
  sleep "$(moment 1500 0 100)"
  kill -STOP "$1" 2>/dev/null
  cp -a "$2" "$3" 2>/dev/null
  kill -CONT "$1" 2>/dev/null
}

# bits holds a run that was never stopped against what becomes of it when it is killed at several moments. They have
# their beginning in common, since two runs may choose other ways to compute.
bits() {
  RANDOM=$SEED
  local pair method encoder whole killed took pid n code
  for pair in $BITS; do
    method=${pair%%:*} encoder=${pair#*:}
    whole=$WORK/bits-$method-whole killed=$WORK/bits-$method-killed
    rm -rf "$whole" "$killed"
    took=$(date +%s%3N)
    "$vicreg" pretrain --method "$method" --data sample --encoder "$encoder" --width 64 --precision bf16 --batch 128 \
      --epochs 4 --eval-every 0 --checkpoint-every 0.01 --device "$DEVICE" "${small[@]}" --out "$whole" \
      >"$OUT/bits-$method-whole.txt" 2>&1 &
    pid=$!
    snapshot $pid "$whole" "$killed"
    if ! wait $pid; then
      say FAIL "bits: $method: $(tail -n 1 "$OUT/bits-$method-whole.txt")"
      continue
    fi
    took=$(($(date +%s%3N) - took))
    local steps at
    steps=$(grep -c '"step"' "$killed/metrics.jsonl")
    local what="$method, $encoder, killed after $steps lines of its log"
    : >"$OUT/bits-$method-killed.txt"
    for ((n = 0; n < KILLS; n++)); do
      "$vicreg" pretrain --resume "$killed" --device "$DEVICE" >>"$OUT/bits-$method-killed.txt" 2>&1 &
      pid=$!
      at=$(moment "$took" 30 80)
      sleep "$at"
      if kill -KILL $pid 2>/dev/null; then what+=" and $at s"; fi
      wait $pid 2>/dev/null
    done
    what+=" (SEED=$SEED)"
    code=0
    if [ ! -e "$killed/summary.json" ]; then
      within "$vicreg" pretrain --resume "$killed" --device "$DEVICE" >>"$OUT/bits-$method-killed.txt" 2>&1
      code=$?
    fi
    cp "$whole/metrics.jsonl" "$OUT/bits-$method-whole.jsonl"
    cp "$killed/metrics.jsonl" "$OUT/bits-$method-killed.jsonl"
    if [ $code != 0 ]; then
      say FAIL "bits: $what: $(tail -n 1 "$OUT/bits-$method-killed.txt")"
    elif ! cmp -s "$whole/model.safetensors" "$killed/model.safetensors"; then
      say FAIL "bits: $what: the model has other bits"
    elif ! diff <(figures "$whole") <(figures "$killed") >"$OUT/bits-$method.diff"; then
      say FAIL "bits: $what: the model has the same bits, the figures differ: see bits-$method.diff"
    else
      say ok "bits: $what: same bits and figures as when never stopped"
    fi
  done
  moved
}

# moved takes a run from the card to the processor and back.
moved() {
  [ "$DEVICE" != cpu ] || { say skip "bits: a run that moves: no card"; return; }
  local run=$WORK/bits-moved
  rm -rf "$run"
  {
    within "$vicreg" pretrain --data sample --encoder resnet18 --width 16 --limit 2000 --epochs 1 --eval-every 0 \
      --device "$DEVICE" --out "$run" &&
      within "$vicreg" pretrain --resume "$run" --epochs 2 --device cpu &&
      within "$vicreg" pretrain --resume "$run" --epochs 3 --device "$DEVICE"
  } >"$OUT/bits-moved.txt" 2>&1
  local code=$? said
  said=$(grep -c 'rounding differs' "$OUT/bits-moved.txt")
  if [ $code = 0 ] && [ "$said" = 2 ]; then
    say ok "bits: a run that moves to the processor and back says so"
  else
    say FAIL "bits: a run that moves: exit code $code, said $said times: $(tail -n 1 "$OUT/bits-moved.txt")"
  fi
}

luck() {
  local none='no NVIDIA|not found|no card|driver'
  local run=("$vicreg" pretrain --data sample --epochs 1 --eval-every 0 --out)
  rm -rf "$WORK"/luck-*
  expect name 2 'there is no device|known:' "${run[@]}" "$WORK/luck-name" --device tpu
  if [ "$DEVICE" = cpu ]; then
    expect driver 1 "$none" "${run[@]}" "$WORK/luck-driver" --device cuda
  else
    expect number 1 'cuda:9' "${run[@]}" "$WORK/luck-number" --device cuda:9
    CUDA_VISIBLE_DEVICES=-1 expect hidden 1 'card' "${run[@]}" "$WORK/luck-hidden" --device "$DEVICE"
    expect memory 1 'batch' "$vicreg" bench step --encoder resnet50 --stem imagenet --size 224 --batch 3072 \
      --precision bf16 --expander 8192-8192-8192 --steps 1 --warmup 1 --device "$DEVICE"
    local large=(--encoder resnet50 --width 64 --stem imagenet --size 224 --batch 3072 --precision bf16
      --expander 8192-8192-8192 --device "$DEVICE")
    expect memory-run 1 'batch' "${run[@]}" "$WORK/luck-memory" "${large[@]}"
    within "$vicreg" pretrain --plan --data sample "${large[@]}" >"$OUT/luck-plan.txt" 2>&1
    say told "luck: the plan of such a run, exit code $?: $(tail -n 1 "$OUT/luck-plan.txt")"
    local empty=$WORK/luck-libraries
    mkdir -p "$empty"
    : >"$empty/libcudnn.so.9"
    VICREG_LIB=$empty expect library 1 'cudnn|cuDNN' "${run[@]}" "$WORK/luck-library" --device "$DEVICE"
    covered
  fi
  VICREG_LIB=/nowhere expect folder 1 'VICREG_LIB names' "${run[@]}" "$WORK/luck-folder" --device cuda
  expect nan 1 'NaN|not finite|infinite' "${run[@]}" "$WORK/luck-nan" --base-lr 1e30 --warmup 0 --device "$DEVICE" \
    "${small[@]}"
}

# covered hides libraries from a process of its own, where that is allowed.
covered() {
  local name all
  for name in cudnn cublasLt; do
    all=$(find / -xdev -name "lib$name*.so*" -type f 2>/dev/null)
    if ! unshare -m true 2>/dev/null; then
      say skip "luck: without $name: this machine lets nobody cover files"
      return
    fi
    # shellcheck disable=SC2016
    {
      echo 'while read -r f; do mount --bind /dev/null "$f" || exit 3; done <<END'
      echo "$all"
      echo 'END'
      echo 'exec "$@"'
    } >"$WORK/cover.sh"
    # Broken, not gone: an empty file lies over each.
    expect "without-$name" 1 "$name|cuDNN|cuBLAS" unshare -m bash "$WORK/cover.sh" "$vicreg" pretrain --data sample \
      --epochs 1 --eval-every 0 --out "$WORK/luck-$name" --device "$DEVICE"
  done
}

if [ "${1:-}" = bundle ]; then
  bundle
  exit
fi
OUT=
if [ "${1:-}" = -o ]; then
  OUT=${2:-}
  shift 2
fi
if [ -z "$OUT" ] || [ $# = 0 ]; then
  sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
mkdir -p "$OUT" "$WORK" || exit 1
rm -f "$OUT/failed"
OUT=$(realpath "$OUT") WORK=$(realpath "$WORK")
unpack bin.tar.xz || exit 1
vicreg=$WORK/bin/vicreg
for part in "$@"; do
  began=$SECONDS
  name=LIMIT_$part
  limit=${!name:-0}
  case $part in
  info | tests | table | waits | recipe | methods | pieces | ranks | bits | luck) "$part" ;;
  *) echo "no part $part" >&2; exit 2 ;;
  esac
done
[ ! -e "$OUT/failed" ]
