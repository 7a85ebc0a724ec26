"""The checks of processes.sh, which says what they are."""
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time

WORK = os.environ["WORK"]
DELAY, MBIT = float(os.environ.get("DELAY", 5)), float(os.environ.get("MBIT", 100))
KILLS = int(os.environ.get("KILLS", 50))
SEED = int(os.environ.get("SEED", 0)) or random.randrange(1 << 30)
ROUNDS = int(os.environ.get("ROUNDS", 5))  # of overhead
METHODS = os.environ.get("METHODS", "barlow-twins byol deepcluster moco-v2 moco-v3 simclr simsiam swav vicreg wmse "
                         "supervised").split()
MPIS = [m for m in os.environ.get("MPIS", "openmpi mpich").split() if shutil.which("mpirun." + m)]

BINARY = os.path.join(WORK, "vicreg")
MARK = "VICREG_BENCH"  # in the environment of the processes that a check starts
NONE = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
# Ten steps, at a rate that lets rounding grow slowly: two instruction sets of one processor are as far apart.
SMALL = ["--width", "32", "--size", "16", "--expander", "128-128", "--batch", "64", "--limit", "320", "--epochs", "2",
         "--base-lr", "0.0003", "--warmup", "0", "--eval-every", "0"]
# Whitening makes rounding large: few columns, many rows, and a lower rate. A queue begins later than this.
SPECIAL = {"wmse": ["--expander", "128-4", "--whitening-size", "64", "--base-lr", "0.00001"], "swav": ["--queue", "0"]}
failed = False


def verdict(good, text):
    global failed
    failed = failed or not good
    print("ok  " if good else "BAD ", text, flush=True)


def launcher(mpi, n, *more):
    """The words that start n processes on this machine."""
    if n == 1:
        return []
    crowded = ["--oversubscribe"] if mpi == "openmpi" and n > len(os.sched_getaffinity(0)) else []
    return ["mpirun." + mpi, *crowded, *more, "-n", str(n)]


def fresh(name):
    folder = os.path.join(WORK, name)
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def start(words, **env):
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            env={**os.environ, **NONE, **env})


def steps(words, **env):
    """Runs it and returns the losses of its steps, and when each ended."""
    process, losses, times, rest = start(words, **env), [], [], []
    for line in process.stdout:
        try:
            event = json.loads(line)
        except ValueError:
            rest.append(line)
            continue
        if event.get("event") == "step":
            losses.append(event["loss"])
            times.append(time.monotonic())
    if process.wait():
        print("".join(rest[-20:]))
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}")
    return losses, times


def pretrain(out, *flags):
    return [BINARY, "pretrain", "--out", out, "--json", *flags]


def apart(a, b):
    """How far losses are apart at most, relative to their size where that is above 1: some are means of cosines."""
    if len(a) != len(b) or not a:
        return float("inf")
    return max(abs(x - y) / max(abs(y), 1) for x, y in zip(a, b))


def check_losses():
    for method in METHODS:
        flags = ["--method", method, *SMALL, *SPECIAL.get(method, [])]
        want, _ = steps(pretrain(fresh("one"), *flags))
        other, _ = steps(pretrain(fresh("one"), *flags), VICREG_CPU="avx2")
        print(f"     {method}: of AVX2 apart by {apart(other, want):.1e}")
        for mpi in MPIS:
            for n in (2, 4):
                got, _ = steps(launcher(mpi, n) + pretrain(fresh("many"), *flags))
                off = apart(got, want)
                verdict(off <= 1e-5 and len(got) == 10,
                        f"{method}, {n} processes by {mpi}: {len(got)} steps, losses apart by {off:.1e} at most")


def crossing(mpi, n):
    """The words that start one process on each end of the wire."""
    agent = os.path.join(WORK, "agent")
    with open(agent, "w") as f:
        f.write("""#!/bin/sh
while [ "${1#-}" != "$1" ]; do shift; done
shift
exec ip netns exec wireb unshare --uts sh -c "hostname hostb; $*"
""")
    os.chmod(agent, 0o755)
    hosts = "10.77.0.1,10.77.0.2"
    if mpi == "openmpi":
        words = ["mpirun.openmpi", "--mca", "plm_rsh_agent", agent, "--mca", "oob_tcp_if_include", "wire0", "--mca",
                 "btl", "self,tcp", "--mca", "btl_tcp_if_include", "wire0", "--bind-to", "none", "-host", hosts]
    else:  # as one kernel runs both ends, it would find a way beside the wire
        words = ["mpirun.mpich", "-launcher", "ssh", "-launcher-exec", agent, "-iface", "wire0", "-genv", "UCX_TLS",
                 "tcp,self", "-genv", "UCX_NET_DEVICES", "wire0", "-hosts", hosts]
    return ["ip", "netns", "exec", "wirea", "unshare", "--uts", "sh", "-c", 'hostname hosta; exec "$@"', "sh", *words,
            "-n", str(n)]


def check_wire():
    for name in ("wirea", "wireb"):
        subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "netns", "add", name], check=True)
    wire = subprocess.Popen(["nice", "-n", "-10", sys.executable, "bench/wire.py", "wirea", "wireb", str(DELAY),
                             str(MBIT)], stdout=subprocess.PIPE)
    try:
        wire.stdout.readline()
        for flags in ([*SMALL], [*SMALL, "--size", "32", "--expander", "256-256"]):
            want, times = steps(pretrain(fresh("one"), *flags, "--threads", "1"))
            print(f"     one process: {pace(times)}")
            for mpi in MPIS:
                for where, words in (("one machine", launcher(mpi, 2)),
                                     (f"{DELAY:g} ms and {MBIT:g} Mbit/s", crossing(mpi, 2))):
                    got, times = steps(words + pretrain(fresh("many"), *flags, "--threads", "1"))
                    off = apart(got, want)
                    verdict(off <= 1e-5, f"2 processes by {mpi}, {where}: losses apart by {off:.1e}; {pace(times)}")
    finally:
        wire.kill()
        for name in ("wirea", "wireb"):
            subprocess.run(["ip", "netns", "del", name])


def pace(times):
    """What a step takes."""
    took = [b - a for a, b in zip(times[2:], times[3:])]
    return f"{1e3 * statistics.median(took):.1f} ms a step ({1e3 * min(took):.1f}–{1e3 * max(took):.1f})"


def ranks(mark):
    """The processes of a check, by rank."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                env = dict(p.split(b"=", 1) for p in f.read().split(b"\0") if b"=" in p)
            if env.get(MARK.encode()) == mark.encode() and os.readlink(f"/proc/{pid}/exe") == BINARY:
                rank = env.get(b"OMPI_COMM_WORLD_RANK") or env.get(b"PMI_RANK")
                if rank is not None:
                    found[int(rank)] = int(pid)
        except OSError:
            pass
    return found


def bits(folder):
    with open(os.path.join(folder, "model.safetensors"), "rb") as f:
        return f.read()


def check_kills():
    chance = random.Random(SEED)
    print(f"     seed {SEED}")
    flags = ["--width", "2", "--size", "12", "--expander", "8-8", "--batch", "32", "--limit", "320", "--epochs", "4",
             "--warmup", "0", "--labels", "none", "--checkpoint-every", "0.001"]
    for mpi in MPIS:
        n = 3 if mpi == "openmpi" else 2
        flags_n = [f if f != "32" else str(8 * n) for f in flags]  # a batch that can be divided
        whole = fresh("whole")
        began = time.monotonic()
        steps(launcher(mpi, n) + pretrain(whole, *flags_n))
        length = time.monotonic() - began
        done, slow, runs, left, named = 0, 0.0, 0, 0, 0
        while done < KILLS // len(MPIS):
            folder, runs = fresh("killed"), runs + 1
            words, again = pretrain(folder, *flags_n), [BINARY, "pretrain", "--resume", folder, "--json"]
            while True:
                mark = f"{os.getpid()}.{time.monotonic()}"
                process = start(launcher(mpi, n) + words, **{MARK: mark})
                time.sleep(chance.uniform(0.1, length))
                victims = ranks(mark)
                killed = time.monotonic()
                if victims and process.poll() is None and done < KILLS:
                    os.kill(chance.choice(sorted(victims.values())), signal.SIGKILL)
                    done += 1
                said, _ = process.communicate()
                slow = max(slow, time.monotonic() - killed) if victims else slow
                while ranks(mark):
                    time.sleep(0.05)
                    if time.monotonic() - killed > 20:
                        left += 1
                        break
                named += " is gone" in said
                if process.returncode == 0:
                    break
                if os.path.exists(os.path.join(folder, "config.yaml")):
                    words = again
                else:
                    shutil.rmtree(folder, ignore_errors=True)
            print(f"     {done} kills by {time.monotonic() - began:.0f} s", flush=True)
            if bits(folder) != bits(whole):
                verdict(False, f"{mpi}: the model of run {runs} has other bits")
        verdict(left == 0 and slow < 20, f"{n} processes by {mpi}: {done} kills in {runs} runs, which end with the "
                f"same bits; all were gone after {slow:.1f} s at most, {named} times with the name of the one that "
                "died")


def check_overhead():
    flags = ["--encoder", "resnet18", "--width", "64", "--size", "32", "--expander", "2048-2048-2048", "--batch", "128",
             "--limit", "1280", "--epochs", "1", "--eval-every", "0"]
    ways = {"one process of 2 threads": ([], "2")}
    for mpi in MPIS:
        ways[f"2 processes of 1 thread by {mpi}"] = (launcher(mpi, 2), "1")
    took, spent = {w: [] for w in ways}, {w: [] for w in ways}
    for _ in range(ROUNDS):
        for way, (words, threads) in ways.items():
            before = os.times()
            _, times = steps(words + pretrain(fresh("over"), *flags, "--threads", threads))
            after = os.times()
            took[way] += [b - a for a, b in zip(times[2:], times[3:])]
            spent[way].append(sum(after[2:4]) - sum(before[2:4]))  # of children
    one = next(iter(ways))
    for way in ways:
        over, least = (f(took[way]) / f(took[one]) - 1 for f in (statistics.median, min))
        text = (f"{way}: step {statistics.median(took[way]):.3f} s, least {min(took[way]):.3f}; processor "
                f"{statistics.median(spent[way]):.1f} s a run")
        if way == one:
            print("    ", text)
        else:
            verdict(min(over, least) <= 0.05, f"{text}; over by {100 * over:.1f}%, least by {100 * least:.1f}%")


def main():
    checks = {"losses": check_losses, "wire": check_wire, "kills": check_kills, "overhead": check_overhead}
    if not MPIS:
        sys.exit("no MPI is installed (Debian: openmpi-bin, mpich)")
    for name in sys.argv[1:] or ["losses", "kills", "overhead"]:
        if name not in checks:
            sys.exit(f"there is no check {name!r}: {', '.join(checks)}")
        print("==", name)
        checks[name]()
    sys.exit(failed)


if __name__ == "__main__":
    main()
