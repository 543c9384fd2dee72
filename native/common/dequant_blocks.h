// One decoder a block format. Each turns one block into codes, scales and mins (see dequant.h).
#pragma once
#include <cstdint>

namespace bz {

typedef void (*block_decoder)(const uint8_t *block, uint8_t *codes, float *scales, float *mins);

void decode_q4_0(const uint8_t *b, uint8_t *codes, float *scales, float *mins);
void decode_q4_1(const uint8_t *b, uint8_t *codes, float *scales, float *mins);
void decode_q5_0(const uint8_t *b, uint8_t *codes, float *scales, float *mins);
void decode_q5_1(const uint8_t *b, uint8_t *codes, float *scales, float *mins);
void decode_q8_0(const uint8_t *b, uint8_t *codes, float *scales, float *mins);
void decode_q2_k(const uint8_t *b, uint8_t *codes, float *scales, float *mins);
void decode_q3_k(const uint8_t *b, uint8_t *codes, float *scales, float *mins);
void decode_q4_k(const uint8_t *b, uint8_t *codes, float *scales, float *mins);
void decode_q5_k(const uint8_t *b, uint8_t *codes, float *scales, float *mins);
void decode_q6_k(const uint8_t *b, uint8_t *codes, float *scales, float *mins);
void decode_iq4_xs(const uint8_t *b, uint8_t *codes, float *scales, float *mins);

} // namespace bz
