//go:build amd64 && !purego

package parser

import (
	"slices"
	"sync"
)

// Written in kernel_amd64.s. None reads or writes beyond what it is given.

// indexAVX512 is a kernel of so many blocks, with at doubled.
//
//go:noescape
func indexAVX512(text *byte, blocks int, at uint32, delimiter byte, ends *uint32, feeds *uint64, quotes *quoting) int

// indexAVX2 is likewise.
//
//go:noescape
func indexAVX2(text *byte, blocks int, at uint32, delimiter byte, ends *uint32, feeds *uint64, quotes *quoting) int

//go:noescape
func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

// xgetbv returns the register states that the system saves.
//
//go:noescape
func xgetbv() (xcr0 uint32)

// kernels are those that this machine can run, the fastest first. It asks the
// processor once: under a hypervisor that is slow.
var kernels = sync.OnceValue(func() []namedKernel {
	avx2, avx512 := features()
	list := []namedKernel{{"portable", portable}}
	if avx2 {
		list = append(list, namedKernel{"AVX2", avx2Kernel})
	}
	if avx512 {
		list = append(list, namedKernel{"AVX-512", avx512Kernel})
	}
	slices.Reverse(list)
	return list
})

func avx512Kernel(text []byte, at uint32, delimiter byte, ends []uint32, feeds *[stripLen]uint64, quotes *quoting) int {
	return indexAVX512(&text[0], len(text)/blockLen, at<<1, delimiter, &ends[0], &feeds[0], quotes)
}

func avx2Kernel(text []byte, at uint32, delimiter byte, ends []uint32, feeds *[stripLen]uint64, quotes *quoting) int {
	return indexAVX2(&text[0], len(text)/blockLen, at<<1, delimiter, &ends[0], &feeds[0], quotes)
}

// features tells which kernels can run: the bits are those of Intel's manual,
// volume 2, CPUID, and volume 1, 13.3 for what the system must save.
func features() (avx2, avx512 bool) {
	const (
		pclmulqdq, popcnt, osxsave = 1 << 1, 1 << 23, 1 << 27                  // leaf 1, ECX
		bmi1, isAVX2, f, bw, vl    = 1 << 3, 1 << 5, 1 << 16, 1 << 30, 1 << 31 // leaf 7, EBX
		vbmi2                      = 1 << 6                                    // leaf 7, ECX
		ymm                        = 1<<1 | 1<<2                               // XCR0
		zmm                        = ymm | 1<<5 | 1<<6 | 1<<7
	)
	has := func(register, bits uint32) bool { return register&bits == bits }
	if leaves, _, _, _ := cpuid(0, 0); leaves < 7 {
		return false, false
	}
	_, _, ecx1, _ := cpuid(1, 0)
	if !has(ecx1, osxsave) {
		return false, false
	}
	_, ebx7, ecx7, _ := cpuid(7, 0)
	saved := xgetbv()
	avx2 = has(ecx1, pclmulqdq|popcnt) && has(ebx7, bmi1|isAVX2) && has(saved, ymm)
	avx512 = avx2 && has(ebx7, f|bw|vl) && has(ecx7, vbmi2) && has(saved, zmm)
	return avx2, avx512
}
