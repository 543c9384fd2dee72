// Memory of packed weights: side by side in large pages. A model has hundreds of weights of less than a large page; in
// small pages a decode step, which reads each byte once, would need a translation every 4 KB.
#pragma once
#include <cstddef>
#include <cstdint>

namespace bz {

// Zeroed and 64-byte aligned; nullptr when there is no memory. From any thread. Memory goes back to the system with the
// last weight of its chunk.
std::byte *weight_alloc(uint64_t bytes);
void weight_free(std::byte *memory);

} // namespace bz
