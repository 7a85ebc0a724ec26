package amx

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// trace runs a program under a tracer that executes AMX's instructions, and returns how
// many there were. An error tells of an instruction that is wrong, or of the program's end.
func trace(name string, args, env []string, out *os.File) (executed int, err error) {
	runtime.LockOSThread() // a program is traced by one thread
	defer runtime.UnlockOSThread()
	p, err := os.StartProcess(name, append([]string{name}, args...), &os.ProcAttr{
		Env: env, Files: []*os.File{nil, out, out}, Sys: &unix.SysProcAttr{Ptrace: true}})
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errNotAllowed, err)
	}
	defer p.Release()
	t := &tracer{pid: p.Pid, threads: map[int]*thread{}, code: map[uint64]instruction{}}
	err = t.run()
	if err != nil {
		p.Kill()
	}
	return t.executed, err
}

type tracer struct {
	pid      int
	threads  map[int]*thread
	code     map[uint64]instruction // by address
	executed int
}

type thread struct{ tiles }

func (t *tracer) run() error {
	for {
		var ws unix.WaitStatus
		tid, err := unix.Wait4(-1, &ws, unix.WALL|unix.WNOTHREAD, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("waiting: %w", err)
		}
		if !ws.Stopped() {
			if tid != t.pid {
				delete(t.threads, tid)
				continue
			}
			if ws.Signaled() {
				return fmt.Errorf("ended by signal %v", ws.Signal())
			}
			if ws.ExitStatus() != 0 {
				return fmt.Errorf("exit code %d", ws.ExitStatus())
			}
			return nil
		}
		signal, err := t.stopped(tid, ws)
		if err != nil {
			return err
		}
		if err := unix.PtraceCont(tid, int(signal)); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("going on: %w", err)
		}
	}
}

// stopped deals with a stop of a thread, and returns the signal that it is to get.
func (t *tracer) stopped(tid int, ws unix.WaitStatus) (unix.Signal, error) {
	th := t.threads[tid]
	if th == nil { // its first stop
		t.threads[tid] = new(thread)
		if tid == t.pid {
			const options = unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_EXITKILL
			return 0, unix.PtraceSetOptions(tid, options)
		}
		return 0, nil
	}
	switch signal := ws.StopSignal(); signal {
	case unix.SIGTRAP: // a thread has begun
		return 0, nil
	case unix.SIGILL:
		known, err := t.execute(tid, th)
		if known {
			signal = 0
		}
		return signal, err
	default:
		return signal, nil
	}
}

// execute does the instruction that a thread stands at, and those that follow it. It
// reports whether the first was one of AMX.
func (t *tracer) execute(tid int, th *thread) (known bool, err error) {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &regs); err != nil {
		return false, err
	}
	r := [16]uint64{regs.Rax, regs.Rcx, regs.Rdx, regs.Rbx, regs.Rsp, regs.Rbp, regs.Rsi, regs.Rdi,
		regs.R8, regs.R9, regs.R10, regs.R11, regs.R12, regs.R13, regs.R14, regs.R15}
	m := remote(t.pid)
	for {
		i, ok := t.code[regs.Rip]
		if !ok {
			var code [15]byte
			if err := m.read([][]byte{code[:]}, regs.Rip, 0); err != nil {
				return false, err
			}
			i = decode(code[:])
			t.code[regs.Rip] = i
		}
		if i.kind == other {
			break
		}
		if err := th.do(i, &r, m); err != nil {
			return true, fmt.Errorf("instruction of kind %d at %#x: %w", i.kind, regs.Rip, err)
		}
		t.executed++
		regs.Rip += uint64(i.length)
		known = true
	}
	if !known {
		return false, nil
	}
	return true, unix.PtraceSetRegs(tid, &regs)
}

// remote is the memory of a process.
type remote int

func (m remote) read(rows [][]byte, at, stride uint64) error {
	return m.move(unix.ProcessVMReadv, rows, at, stride)
}

func (m remote) write(rows [][]byte, at, stride uint64) error {
	return m.move(unix.ProcessVMWritev, rows, at, stride)
}

func (m remote) move(call func(int, []unix.Iovec, []unix.RemoteIovec, uint) (int, error), rows [][]byte, at,
	stride uint64) error {
	var here [16]unix.Iovec
	var there [16]unix.RemoteIovec
	total := 0
	for i, row := range rows {
		here[i] = unix.Iovec{Base: &row[0], Len: uint64(len(row))}
		there[i] = unix.RemoteIovec{Base: uintptr(at + uint64(i)*stride), Len: len(row)}
		total += len(row)
	}
	n, err := call(int(m), here[:len(rows)], there[:len(rows)], 0)
	if err == nil && n < total {
		err = errors.New("part of it is not mapped")
	}
	if err != nil {
		return fmt.Errorf("memory at %#x, %d rows %d bytes apart: %w", at, len(rows), int64(stride), err)
	}
	return nil
}
