/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/crc32c.h"

/* Four bits at a time: for processors without an instruction for it. */
static uint32_t
by_nibbles(uint32_t crc, struct slice s)
{
	static const uint32_t nibble[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
		0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};

	for (size_t i = 0; i < s.n; i++) {
		crc ^= (unsigned char)s.p[i];
		crc = crc >> 4 ^ nibble[crc & 15];
		crc = crc >> 4 ^ nibble[crc & 15];
	}
	return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
by_instruction(uint32_t crc, struct slice s)
{
	uint64_t wide = crc;

	for (; s.n >= 8; s = slice_skip(s, 8)) {
		uint64_t eight;

		memcpy(&eight, s.p, 8);
		wide = __builtin_ia32_crc32di(wide, eight);
	}
	crc = (uint32_t)wide;
	for (size_t i = 0; i < s.n; i++)
		crc = __builtin_ia32_crc32qi(crc, (unsigned char)s.p[i]);
	return crc;
}
#endif

uint32_t
crc32c(uint32_t crc, struct slice s)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return ~by_instruction(~crc, s);
#endif
	return ~by_nibbles(~crc, s);
}
