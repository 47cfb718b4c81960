package devstack

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Process is a child that cannot outlive this process. Its methods may be
// called from several goroutines.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait; to be read once done is closed
}

// StartProcess starts cmd, which belongs to the Process from here on.
//
// When this process ends, even by SIGKILL, the kernel sends the child the signal
// orphaned. The child leads a process group of its own, so that a Ctrl-C at the
// terminal reaches only this process, which can then stop its children in order.
func StartProcess(cmd *exec.Cmd, orphaned syscall.Signal) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = orphaned
	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// run keeps its thread for the child's whole life: Linux sends the parent-death
// signal when the thread that forked ends, and Go ends idle threads (prctl(2)).
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err == nil {
		p.err = p.cmd.Wait()
		close(p.done)
	}
}

// PID is the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed once the child has ended and was waited for.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the child ended, nil for exit status 0. It waits for the end.
func (p *Process) Err() error {
	<-p.done
	return p.err
}

// stopStep is how long Stop waits after each signal but the first, whose time is
// the context's.
const stopStep = 5 * time.Second

// Stop sends the first signal and, when ctx ends before the child does, the
// others and at last SIGKILL, [stopStep] apart. It returns when the child is
// gone: nil if the first signal was enough, however the child then exited.
func (p *Process) Stop(ctx context.Context, signals ...syscall.Signal) error {
	signals = append(signals, syscall.SIGKILL)
	if p.endsBy(ctx, signals[0]) {
		return nil
	}
	for _, sig := range signals[1:] {
		step, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopStep)
		ended := p.endsBy(step, sig)
		cancel()
		if ended {
			return fmt.Errorf("stop %s: needed %v", p.cmd.Path, sig)
		}
	}
	return fmt.Errorf("stop %s: does not end", p.cmd.Path)
}

// endsBy sends a signal, which is no error where the child is gone already, and
// says whether the child has ended before ctx.
func (p *Process) endsBy(ctx context.Context, sig syscall.Signal) bool {
	_ = p.cmd.Process.Signal(sig)
	select {
	case <-p.done:
		return true
	case <-ctx.Done():
	}
	select {
	case <-p.done: // of two ready cases, select takes any
		return true
	default:
		return false
	}
}
