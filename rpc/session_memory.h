// SPDX-License-Identifier: GPL-3.0-or-later
// The allocator behind nghttp2's sessions. Of what each session makes when it is created, 22 KB,
// hardly anything is ever written: the places of a few headers and streams and, with payloads sent
// by reference, the start of a frame. These parts come from one slot of untouched pages, so placed
// that what is written lies on one page. Everything else is malloc's. Not thread-safe; it must
// outlive its sessions.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace assay::rpc {

class SessionMemory final {
 public:
  SessionMemory();
  ~SessionMemory();
  SessionMemory(const SessionMemory&) = delete;
  SessionMemory& operator=(const SessionMemory&) = delete;

  nghttp2_mem* hooks() { return &hooks_; }

  // While it lives, one session is created: what is allocated may come from its slot.
  class Creation final {
   public:
    explicit Creation(SessionMemory& memory);
    ~Creation();
    Creation(const Creation&) = delete;
    Creation& operator=(const Creation&) = delete;

   private:
    SessionMemory& memory_;
  };

 private:
  // A block of slots, and which of each one's places are taken, a bit each.
  struct Region {
    char* start;
    std::vector<uint8_t> taken;
  };
  struct Found {
    Region* region;  // Null when the pointer is malloc's.
    size_t slot;
    size_t place;
  };

  static void* Malloc(size_t size, void* self);
  static void Free(void* pointer, void* self);
  static void* Calloc(size_t count, size_t size, void* self);
  static void* Realloc(void* pointer, size_t size, void* self);

  char* TakeSlot();
  void* TakePlace(size_t size, bool zeroed);
  Found Find(const void* pointer);
  void GiveBack(const Found& found);
  void GiveBackSlot(char* slot);
  bool AddRegion();

  nghttp2_mem hooks_;
  std::vector<Region> regions_;  // Sorted.
  std::vector<char*> warm_;      // Free slots whose pages may be resident.
  std::vector<char*> cold_;      // Free slots without resident pages.
  char* creating_ = nullptr;     // The slot of the session that is being created.
  bool creating_warm_ = false;
};

}  // namespace assay::rpc
