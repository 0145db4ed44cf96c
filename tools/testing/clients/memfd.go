// SPDX-License-Identifier: GPL-2.0

// A static Go program that uses memfds: it calls the kernel itself, from threads of Go's runtime.
//
// Each of some goroutines makes one, stores in a mapping, seals it, and asks a process to which it hands the
// descriptor for the sum. It prints one line per memfd.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"unsafe"
)

const (
	sysMemfdCreate = 319
	closeOnExec    = 1
	allowSealing   = 2
	addSeals       = 1033
	getSeals       = 1034
	sealShrink     = 2
	sealGrow       = 4
	sealWrite      = 8

	many = 8
	size = 1 << 20
)

func check(what string, errno syscall.Errno) {
	if errno != 0 {
		panic(what + ": " + errno.Error())
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// memfd makes one whose bytes are of the value, and seals it.
func memfd(value int) *os.File {
	name, err := syscall.BytePtrFromString(fmt.Sprintf("go%d", value))
	must(err)
	fd, _, errno := syscall.Syscall(sysMemfdCreate, uintptr(unsafe.Pointer(name)), closeOnExec|allowSealing, 0)
	check("memfd_create", errno)
	file := os.NewFile(fd, "memfd")
	must(file.Truncate(size))
	memory, err := syscall.Mmap(int(fd), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	must(err)
	for at := range memory {
		memory[at] = byte(value)
	}
	const seals = sealShrink | sealGrow | sealWrite
	if _, _, errno = syscall.Syscall(syscall.SYS_FCNTL, fd, addSeals, seals); errno != syscall.EBUSY {
		panic("sealed while it is mapped for writing")
	}
	must(syscall.Munmap(memory))
	_, _, errno = syscall.Syscall(syscall.SYS_FCNTL, fd, addSeals, seals)
	check("F_ADD_SEALS", errno)
	got, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, getSeals, 0)
	check("F_GET_SEALS", errno)
	if got != seals {
		panic("other seals")
	}
	if _, err = file.WriteAt([]byte("no"), 0); err == nil {
		panic("written after the seal")
	}
	return file
}

// sum is what the process does that inherits a memfd as descriptor 3.
func sum() {
	memory, err := syscall.Mmap(3, 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
	must(err)
	all := 0
	for _, value := range memory {
		all += int(value)
	}
	fmt.Print(all)
}

func main() {
	if len(os.Args) > 1 {
		sum()
		return
	}
	lines := make([]string, many)
	var group sync.WaitGroup
	for number := range lines {
		group.Add(1)
		go func() {
			defer group.Done()
			// So that each is made by a thread of its own.
			runtime.LockOSThread()
			file := memfd(number + 1)
			defer file.Close()
			child := exec.Command("/proc/self/exe", "sum")
			child.ExtraFiles = []*os.File{file}
			child.Stderr = os.Stderr
			out, err := child.Output()
			must(err)
			if string(out) != fmt.Sprint((number+1)*size) {
				panic("another sum: " + string(out))
			}
			data, err := io.ReadAll(io.NewSectionReader(file, 0, size))
			must(err)
			if strings.Count(string(data), string([]byte{byte(number + 1)})) != size {
				panic("other bytes")
			}
			lines[number] = fmt.Sprintf("ok %d %s", number+1, out)
		}()
	}
	group.Wait()
	fmt.Println(strings.Join(lines, "\n"))
}
