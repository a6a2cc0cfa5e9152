// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/session_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace assay::rpc {
namespace {

constexpr size_t kPageBytes = 4 << 10;

// What a session makes, by its size, and where in a slot it lies.
struct Place {
  size_t at;
  size_t smallest;
  size_t most;
};
constexpr size_t kRingBytes = 1024;          // The header tables of either direction.
constexpr size_t kTableBytes = 4096;         // The streams: 256 places of 16 bytes,
constexpr size_t kFirstStreamAt = 158 * 16;  // of which the first stream takes this one.
constexpr size_t kFrameBytes = 16 << 10;     // The frame buffer, and some for the frame's header.
constexpr size_t kSlotBytes = 6 * kPageBytes;

// The first stream's place begins the second page. The rings and the start of the frame are on it.
constexpr size_t kTableAt = kPageBytes - kFirstStreamAt;
constexpr size_t kRingsAt = kTableAt + kTableBytes;
constexpr size_t kFrameAt = kRingsAt + 2 * kRingBytes;
constexpr std::array<Place, 4> kPlaces = {{{kTableAt, kTableBytes, kTableBytes},
                                           {kRingsAt, kRingBytes, kRingBytes},
                                           {kRingsAt + kRingBytes, kRingBytes, kRingBytes},
                                           {kFrameAt, kFrameBytes, kSlotBytes - kFrameAt}}};
static_assert(kFrameAt + 256 <= 2 * kPageBytes && kSlotBytes - kFrameAt > kFrameBytes);

constexpr size_t kSlotsPerRegion = 512;
constexpr size_t kRegionBytes = kSlotBytes * kSlotsPerRegion;
// Connections that come and go reuse these without asking the kernel.
constexpr size_t kMaxWarm = 64;

uint8_t Bit(size_t place) { return static_cast<uint8_t>(1U << place); }

}  // namespace

SessionMemory::SessionMemory() : hooks_{this, Malloc, Free, Calloc, Realloc} {}

SessionMemory::~SessionMemory() {
  for (const Region& region : regions_) {
    munmap(region.start, kRegionBytes);
  }
}

SessionMemory::Creation::Creation(SessionMemory& memory) : memory_(memory) {
  memory.creating_warm_ = !memory.warm_.empty();
  memory.creating_ = memory.TakeSlot();
}

SessionMemory::Creation::~Creation() {
  char* slot = std::exchange(memory_.creating_, nullptr);
  if (slot == nullptr) {
    return;
  }
  if (const Found found = memory_.Find(slot); found.region->taken[found.slot] == 0) {
    memory_.GiveBackSlot(slot);
  }
}

bool SessionMemory::AddRegion() {
  void* mapped = mmap(nullptr, kRegionBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) {
    return false;
  }
  // One huge page for many slots would undo what the slots are for. Refusal does no harm.
  madvise(mapped, kRegionBytes, MADV_NOHUGEPAGE);
  Region region{static_cast<char*>(mapped), std::vector<uint8_t>(kSlotsPerRegion, 0)};
  for (size_t i = kSlotsPerRegion; i-- > 0;) {
    cold_.push_back(region.start + i * kSlotBytes);
  }
  regions_.insert(std::ranges::lower_bound(regions_, region.start, {}, &Region::start),
                  std::move(region));
  return true;
}

char* SessionMemory::TakeSlot() {
  std::vector<char*>& source = warm_.empty() ? cold_ : warm_;
  if (source.empty() && !AddRegion()) {
    return nullptr;
  }
  char* slot = source.back();
  source.pop_back();
  return slot;
}

// Null when the session being created has no place for it.
void* SessionMemory::TakePlace(size_t size, bool zeroed) {
  if (creating_ == nullptr) {
    return nullptr;
  }
  const Found slot = Find(creating_);
  uint8_t& taken = slot.region->taken[slot.slot];
  for (size_t i = 0; i < kPlaces.size(); ++i) {
    if ((taken & Bit(i)) == 0 && size >= kPlaces[i].smallest && size <= kPlaces[i].most) {
      taken |= Bit(i);
      char* place = creating_ + kPlaces[i].at;
      if (zeroed && creating_warm_) {
        std::memset(place, 0, size);
      }
      return place;
    }
  }
  return nullptr;
}

SessionMemory::Found SessionMemory::Find(const void* pointer) {
  const char* at = static_cast<const char*>(pointer);
  const auto starts_at = [](const Region& region) -> const char* { return region.start; };
  auto region = std::ranges::upper_bound(regions_, at, {}, starts_at);
  if (region == regions_.begin() || at >= (--region)->start + kRegionBytes) {
    return {.region = nullptr, .slot = 0, .place = 0};
  }
  const auto offset = static_cast<size_t>(at - region->start);
  size_t place = 0;
  while (place + 1 < kPlaces.size() && kPlaces[place].at != offset % kSlotBytes) {
    ++place;
  }
  return {.region = &*region, .slot = offset / kSlotBytes, .place = place};
}

void SessionMemory::GiveBack(const Found& found) {
  uint8_t& taken = found.region->taken[found.slot];
  taken &= static_cast<uint8_t>(~Bit(found.place));
  char* slot = found.region->start + found.slot * kSlotBytes;
  if (taken == 0 && slot != creating_) {
    GiveBackSlot(slot);
  }
}

void SessionMemory::GiveBackSlot(char* slot) {
  if (warm_.size() < kMaxWarm) {
    warm_.push_back(slot);
    return;
  }
  madvise(slot, kSlotBytes, MADV_DONTNEED);
  cold_.push_back(slot);
}

void* SessionMemory::Malloc(size_t size, void* self) {
  void* place = static_cast<SessionMemory*>(self)->TakePlace(size, /*zeroed=*/false);
  return place != nullptr ? place : std::malloc(size);
}

void SessionMemory::Free(void* pointer, void* self) {
  auto* memory = static_cast<SessionMemory*>(self);
  if (const Found found = memory->Find(pointer); found.region != nullptr) {
    memory->GiveBack(found);
  } else {
    std::free(pointer);
  }
}

void* SessionMemory::Calloc(size_t count, size_t size, void* self) {
  void* place = size != 0 && count > kSlotBytes / size
                    ? nullptr
                    : static_cast<SessionMemory*>(self)->TakePlace(count * size, /*zeroed=*/true);
  return place != nullptr ? place : std::calloc(count, size);
}

// nghttp2 makes its buffers by this too, from nothing.
void* SessionMemory::Realloc(void* pointer, size_t size, void* self) {
  if (pointer == nullptr) {
    return Malloc(size, self);
  }
  auto* memory = static_cast<SessionMemory*>(self);
  const Found found = memory->Find(pointer);
  if (found.region == nullptr) {
    return std::realloc(pointer, size);
  }
  const size_t most = kPlaces[found.place].most;
  if (size <= most) {
    return pointer;
  }
  void* moved = std::malloc(size);
  if (moved != nullptr) {
    std::memcpy(moved, pointer, most);
    memory->GiveBack(found);
  }
  return moved;
}

}  // namespace assay::rpc
