//go:build amd64 && !purego

#include "textflag.h"

// Twice the place of each byte of a block: the lowest bit is for line feeds.
DATA places<>+0(SB)/8, $0x0e0c0a0806040200
DATA places<>+8(SB)/8, $0x1e1c1a1816141210
DATA places<>+16(SB)/8, $0x2e2c2a2826242220
DATA places<>+24(SB)/8, $0x3e3c3a3836343230
DATA places<>+32(SB)/8, $0x4e4c4a4846444240
DATA places<>+40(SB)/8, $0x5e5c5a5856545250
DATA places<>+48(SB)/8, $0x6e6c6a6866646260
DATA places<>+56(SB)/8, $0x7e7c7a7876747270
GLOBL places<>(SB), RODATA|NOPTR, $64

// The two kernels are quoting.step and flatten, whose names are used here.
//
//	SI text   R11 blocks left   DI ends   R12 feeds
//	R8 inside   R9 mayOpen   R10 closed   R13 closedCR   R14 broken   R15 lines

// LOAD takes what both are given.
#define LOAD \
	MOVQ text+0(FP), SI    \
	MOVQ blocks+8(FP), R11 \
	MOVQ ends+24(FP), DI   \
	MOVQ feeds+32(FP), R12 \
	MOVQ quotes+40(FP), AX \
	MOVQ 0(AX), R8         \
	MOVQ 8(AX), R9         \
	MOVQ 16(AX), R10       \
	MOVQ 24(AX), R13       \
	MOVQ 32(AX), R14       \
	MOVQ 40(AX), R15

// STORE gives back what they found; DI then is the number of ends.
#define STORE \
	MOVQ quotes+40(FP), AX \
	MOVQ R8, 0(AX)         \
	MOVQ R9, 8(AX)         \
	MOVQ R10, 16(AX)       \
	MOVQ R13, 24(AX)       \
	MOVQ R14, 32(AX)       \
	MOVQ R15, 40(AX)       \
	SUBQ ends+24(FP), DI   \
	SHRQ $2, DI

// INSIDE makes CX what is inside of the quotes AX. Multiplying by ones, without
// carries, is prefixXor.
#define INSIDE(ones) \
	VMOVQ      AX, X1           \
	VPCLMULQDQ $0, ones, X1, X1 \
	VMOVQ      X1, CX           \
	XORQ       R8, CX           \
	MOVQ       CX, R8           \
	SARQ       $63, R8

// FEEDS counts the lines of the feeds BX and leaves in BX the inner ones.
#define FEEDS \
	POPCNTQ BX, DX  \
	ADDQ    DX, R15 \
	ANDQ    CX, BX  \
	MOVQ    BX, (R12)

// WATCH looks whether quotes, AX, stand only where they may; CX is inside and BX
// the ends. MASK moves the masks cr and feed.
#define WATCH(MASK, cr, feed) \
	MOVQ  AX, DX           \
	ANDQ  CX, DX           \ // opening
	ANDNQ AX, CX, AX       \ // closing
	MOVQ  BX, CX           \
	ORQ   AX, CX           \ // before
	LEAQ  (R9)(CX*2), R9   \
	ANDNQ DX, R9, R9       \
	ORQ   R9, R14          \ // opening where none may
	SHRQ  $63, CX          \
	MOVQ  CX, R9           \
	LEAQ  (R10)(AX*2), R10 \ // after
	SHRQ  $63, AX          \
	ORQ   DX, BX           \
	MASK  cr, CX           \
	MOVQ  R10, DX          \
	ANDQ  CX, DX           \ // cr after a closing quote
	ORQ   CX, BX           \ // ends, opening and cr
	ANDNQ R10, BX, R10     \
	ORQ   R10, R14         \ // text after a closing quote
	MOVQ  AX, R10          \
	LEAQ  (R13)(DX*2), R13 \
	SHRQ  $63, DX          \
	MASK  feed, BX         \
	ANDNQ R13, BX, R13     \
	ORQ   R13, R14         \ // such a cr that is no part of a line end
	MOVQ  DX, R13

// func indexAVX512(text *byte, blocks int, at uint32, delimiter byte, ends *uint32, feeds *uint64, quotes *quoting) int
//
//	Z10 twice the place of the block   Z20 quote   Z21 delimiter   Z22 feed   Z23 cr
TEXT ·indexAVX512(SB), NOSPLIT, $0-56
	LOAD
	MOVL         at+16(FP), AX
	VPBROADCASTD AX, Z10
	MOVL         $128, AX
	VPBROADCASTD AX, Z11
	MOVL         $0x22, AX
	VPBROADCASTB AX, Z20
	MOVBLZX      delimiter+20(FP), AX
	VPBROADCASTB AX, Z21
	MOVL         $0x0a, AX
	VPBROADCASTB AX, Z22
	MOVL         $0x0d, AX
	VPBROADCASTB AX, Z23
	MOVL         $1, AX
	VPBROADCASTB AX, Z25
	VMOVDQU64    places<>(SB), Z24
	VPCMPEQB     X9, X9, X9      // ones
	TESTQ        R11, R11
	JZ           done

loop:
	VMOVDQU64  (SI), Z0
	VPCMPEQB   Z20, Z0, K1
	VPCMPEQB   Z21, Z0, K2
	VPCMPEQB   Z22, Z0, K3
	VPCMPEQB   Z23, Z0, K4
	KMOVQ      K1, AX
	INSIDE(X9)
	KMOVQ      K3, BX
	FEEDS

	KORQ          K2, K3, K5
	KMOVQ         K5, BX
	ANDNQ         BX, CX, BX     // ends
	KMOVQ         BX, K5
	VMOVDQA64     Z24, Z5
	VPADDB        Z25, Z24, K3, Z5
	VPCOMPRESSB.Z Z5, K5, Z6
	VPMOVZXBD     X6, Z7
	VPADDD        Z10, Z7, Z7
	VMOVDQU32     Z7, (DI)
	POPCNTQ       BX, DX
	CMPQ          DX, $16
	JA            more

next:
	LEAQ (DI)(DX*4), DI

	WATCH(KMOVQ, K4, K3)
	VPADDD Z11, Z10, Z10
	ADDQ   $64, SI
	ADDQ   $8, R12
	DECQ   R11
	JNZ    loop

done:
	STORE
	MOVQ DI, ret+48(FP)
	VZEROUPPER
	RET

more:
	VEXTRACTI32X4 $1, Z6, X7
	VPMOVZXBD     X7, Z7
	VPADDD        Z10, Z7, Z7
	VMOVDQU32     Z7, 64(DI)
	VEXTRACTI32X4 $2, Z6, X7
	VPMOVZXBD     X7, Z7
	VPADDD        Z10, Z7, Z7
	VMOVDQU32     Z7, 128(DI)
	VEXTRACTI32X4 $3, Z6, X7
	VPMOVZXBD     X7, Z7
	VPADDD        Z10, Z7, Z7
	VMOVDQU32     Z7, 192(DI)
	JMP           next

// MARKS sets dst to where the block in Y0 and Y1 equals a pattern.
#define MARKS(pattern, dst) \
	VPCMPEQB  pattern, Y0, Y2 \
	VPCMPEQB  pattern, Y1, Y3 \
	VPMOVMSKB Y2, dst         \
	VPMOVMSKB Y3, DX          \
	SHLQ      $32, DX         \
	ORQ       DX, dst

// END takes the lowest of the ends BX: AX is feeds, DX twice the place of the
// block. Behind the last it writes what is of no use.
#define END(offset) \
	TZCNTQ BX, CX         \
	BLSRQ  BX, BX         \
	BTQ    CX, AX         \
	ADCL   CX, CX         \ // twice, and 1 for a line feed
	ADDL   DX, CX         \
	MOVL   CX, offset(DI)

// func indexAVX2(text *byte, blocks int, at uint32, delimiter byte, ends *uint32, feeds *uint64, quotes *quoting) int
//
//	Y8 quote   Y9 delimiter   Y10 feed   Y11 cr
TEXT ·indexAVX2(SB), NOSPLIT, $40-56
	LOAD
	MOVL         $0x22, AX
	MOVQ         AX, X8
	VPBROADCASTB X8, Y8
	MOVBLZX      delimiter+20(FP), AX
	MOVQ         AX, X9
	VPBROADCASTB X9, Y9
	MOVL         $0x0a, AX
	MOVQ         AX, X10
	VPBROADCASTB X10, Y10
	MOVL         $0x0d, AX
	MOVQ         AX, X11
	VPBROADCASTB X11, Y11
	VPCMPEQB     X12, X12, X12       // ones
	TESTQ        R11, R11
	JZ           none

block:
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	MARKS(Y11, CX)
	MOVQ    CX, cr-8(SP)
	MARKS(Y9, CX)
	MOVQ    CX, delimiter-16(SP)
	MARKS(Y10, BX)
	MOVQ    BX, feed-24(SP)
	MARKS(Y8, AX)
	INSIDE(X12)
	FEEDS
	MOVQ    feed-24(SP), BX
	ORQ     delimiter-16(SP), BX
	ANDNQ   BX, CX, BX
	MOVQ    BX, ends-32(SP)
	WATCH(MOVQ, cr-8(SP), feed-24(SP))

	MOVQ    ends-32(SP), BX
	MOVQ    feed-24(SP), AX
	MOVL    at+16(FP), DX
	POPCNTQ BX, CX
	LEAQ    (DI)(CX*4), CX
	MOVQ    CX, next-40(SP)

eight:
	END(0)
	END(4)
	END(8)
	END(12)
	END(16)
	END(20)
	END(24)
	END(28)
	ADDQ  $32, DI
	TESTQ BX, BX
	JNZ   eight
	MOVQ  next-40(SP), DI

	ADDL $128, at+16(FP)
	ADDQ $64, SI
	ADDQ $8, R12
	DECQ R11
	JNZ  block

none:
	STORE
	MOVQ DI, ret+48(FP)
	VZEROUPPER
	RET

// func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)
TEXT ·cpuid(SB), NOSPLIT, $0-24
	MOVL leaf+0(FP), AX
	MOVL subleaf+4(FP), CX
	CPUID
	MOVL AX, eax+8(FP)
	MOVL BX, ebx+12(FP)
	MOVL CX, ecx+16(FP)
	MOVL DX, edx+20(FP)
	RET

// func xgetbv() (xcr0 uint32)
TEXT ·xgetbv(SB), NOSPLIT, $0-4
	XORL CX, CX
	XGETBV
	MOVL AX, xcr0+0(FP)
	RET
