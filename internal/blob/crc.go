package blob

import (
	"encoding/base64"
	"encoding/binary"
	"hash"

	"github.com/minio/crc64nvme"
)

// CRC64 returns the CRC-64/NVME of p, the checksum that S3 calls CRC64NVME. That of no bytes is 0.
func CRC64(p []byte) uint64 { return crc64nvme.Checksum(p) }

// UpdateCRC64 returns the CRC-64/NVME of what crc covers followed by p; start with 0.
func UpdateCRC64(crc uint64, p []byte) uint64 { return crc64nvme.Update(crc, p) }

// NewCRC64 returns a running CRC-64/NVME.
func NewCRC64() hash.Hash64 { return crc64nvme.New() }

// crc64Poly is the polynomial of CRC-64/NVME, bit-reflected: bit 63 is the coefficient of x^0.
const crc64Poly = 0x9a6c9329ac4bc9b5

// Combine returns the CRC-64/NVME of A‖B from a, that of A, and b, that of B, which is lenB bytes long. A CRC is
// linear: crc(A‖B) = crc(A)·x^(8·lenB) + crc(B) modulo the polynomial. So the parts of a file may be summed in any
// order, and one pass over a part serves both S3's check and the file's. It costs about 4 µs for parts of some MiB.
func Combine(a, b uint64, lenB int64) uint64 {
	shift, square := uint64(1)<<63, uint64(1)<<55 // x^0 and x^8
	for n := lenB; n > 0; n >>= 1 {
		if n&1 != 0 {
			shift = multiply(shift, square)
		}
		square = multiply(square, square)
	}
	return multiply(shift, a) ^ b
}

// multiply returns a·b modulo the polynomial.
func multiply(a, b uint64) (product uint64) {
	for bit := uint64(1) << 63; bit != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		carry := b & 1
		b >>= 1
		if carry != 0 {
			b ^= crc64Poly
		}
	}
	return product
}

// encodeCRC64 writes a checksum the way S3's x-amz-checksum-crc64nvme does: base64 of its 8 bytes, big-endian.
func encodeCRC64(crc uint64) *string {
	text := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc))
	return &text
}

// decodeCRC64 returns 0 for a checksum that is absent or not of a whole object.
func decodeCRC64(text *string) uint64 {
	if text == nil {
		return 0
	}
	raw, err := base64.StdEncoding.DecodeString(*text)
	if err != nil || len(raw) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(raw)
}
