// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/session_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace assay::rpc {
namespace {

// A slot holds nghttp2's frame buffer: 16384 bytes of payload, and its frame header.
constexpr size_t kSlotBytes = 20 << 10;
constexpr size_t kSmallestForSlot = 16 << 10;
constexpr size_t kSlotsPerRegion = 512;
constexpr size_t kRegionBytes = kSlotBytes * kSlotsPerRegion;
// Connections that come and go reuse these without asking the kernel.
constexpr size_t kMaxWarm = 64;

bool FitsSlot(size_t size) { return size >= kSmallestForSlot && size <= kSlotBytes; }

}  // namespace

SessionMemory::SessionMemory() : hooks_{this, Malloc, Free, Calloc, Realloc} {}

SessionMemory::~SessionMemory() {
  for (char* region : regions_) {
    munmap(region, kRegionBytes);
  }
}

bool SessionMemory::AddRegion() {
  void* region = mmap(nullptr, kRegionBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (region == MAP_FAILED) {
    return false;
  }
  // One huge page for many slots would undo what the slots are for. Refusal does no harm.
  madvise(region, kRegionBytes, MADV_NOHUGEPAGE);
  char* start = static_cast<char*>(region);
  regions_.insert(std::ranges::lower_bound(regions_, start), start);
  for (size_t i = kSlotsPerRegion; i-- > 0;) {
    cold_.push_back(start + i * kSlotBytes);
  }
  return true;
}

void* SessionMemory::TakeSlot() {
  std::vector<void*>& source = warm_.empty() ? cold_ : warm_;
  if (source.empty() && !AddRegion()) {
    return nullptr;
  }
  void* slot = source.back();
  source.pop_back();
  return slot;
}

bool SessionMemory::OwnsSlot(const void* pointer) const {
  const auto after = std::ranges::upper_bound(regions_, static_cast<const char*>(pointer));
  return after != regions_.begin() && static_cast<const char*>(pointer) < after[-1] + kRegionBytes;
}

void SessionMemory::GiveBack(void* slot) {
  if (warm_.size() < kMaxWarm) {
    warm_.push_back(slot);
    return;
  }
  madvise(slot, kSlotBytes, MADV_DONTNEED);
  cold_.push_back(slot);
}

void* SessionMemory::Malloc(size_t size, void* self) {
  return FitsSlot(size) ? static_cast<SessionMemory*>(self)->TakeSlot() : std::malloc(size);
}

void SessionMemory::Free(void* pointer, void* self) {
  auto* memory = static_cast<SessionMemory*>(self);
  if (memory->OwnsSlot(pointer)) {
    memory->GiveBack(pointer);
  } else {
    std::free(pointer);
  }
}

void* SessionMemory::Calloc(size_t count, size_t size, void* /*self*/) {
  return std::calloc(count, size);
}

void* SessionMemory::Realloc(void* pointer, size_t size, void* self) {
  auto* memory = static_cast<SessionMemory*>(self);
  if (!memory->OwnsSlot(pointer)) {
    return std::realloc(pointer, size);
  }
  if (size <= kSlotBytes) {
    return pointer;
  }
  void* moved = std::malloc(size);
  if (moved != nullptr) {
    std::memcpy(moved, pointer, kSlotBytes);
    memory->GiveBack(pointer);
  }
  return moved;
}

}  // namespace assay::rpc
