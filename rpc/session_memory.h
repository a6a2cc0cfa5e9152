// SPDX-License-Identifier: GPL-3.0-or-later
// The allocator behind nghttp2's sessions. Each session keeps a 16 KB frame buffer of which, with
// payloads sent by reference, only the start is ever written; it comes from page-aligned slots, so
// that only the touched page costs memory. Everything else is malloc's. Not thread-safe; it must
// outlive its sessions.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <vector>

namespace assay::rpc {

class SessionMemory final {
 public:
  SessionMemory();
  ~SessionMemory();
  SessionMemory(const SessionMemory&) = delete;
  SessionMemory& operator=(const SessionMemory&) = delete;

  nghttp2_mem* hooks() { return &hooks_; }

 private:
  static void* Malloc(size_t size, void* self);
  static void Free(void* pointer, void* self);
  static void* Calloc(size_t count, size_t size, void* self);
  static void* Realloc(void* pointer, size_t size, void* self);

  void* TakeSlot();
  bool OwnsSlot(const void* pointer) const;
  void GiveBack(void* slot);
  bool AddRegion();

  nghttp2_mem hooks_;
  std::vector<char*> regions_;  // Sorted.
  std::vector<void*> warm_;     // Free slots whose pages may be resident.
  std::vector<void*> cold_;     // Free slots without resident pages.
};

}  // namespace assay::rpc
