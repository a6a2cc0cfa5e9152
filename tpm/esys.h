// SPDX-License-Identifier: GPL-3.0-or-later
// A connection to the TPM through tpm2-tss's ESYS, and what must be given back to it: objects and
// sessions are flushed when their Loaded dies, memory of the library is freed by EsysPtr. Owned by
// the TPM's thread.
#pragma once

#include <tss2/tss2_esys.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/secret.h"
#include "base/status.h"
#include "tpm/device.h"
#include "tpm/esys_library.h"

namespace assay::tpm {

struct EsysDeleter {
  void operator()(void* memory) const { ESYS(Free)(memory); }
};
template <typename T>
using EsysPtr = std::unique_ptr<T, EsysDeleter>;

class Esys final {
 public:
  // Opens the TPM and asks it one question, so that one that does not answer is found out here.
  static absl::StatusOr<std::unique_ptr<Esys>> Open(const TctiChoice& choice);
  ~Esys();
  Esys(const Esys&) = delete;
  Esys& operator=(const Esys&) = delete;

  ESYS_CONTEXT* get() const { return esys_; }
  // The way to the TPM broke: every later command would fail, so open another.
  bool lost() const { return lost_; }
  // A command found no free slot.
  bool out_of_slots() const { return out_of_slots_; }
  // The most bytes that one NV_Read may ask for.
  uint16_t nv_buffer_size() const { return nv_buffer_size_; }

  // Calls command, which calls one Esys_ function and returns its code; again while the TPM asks
  // for that, for some seconds.
  template <typename Command>
  TSS2_RC Execute(Command&& command) {
    TSS2_RC code = command();
    for (int retry = 0; retry < kMaxRetries && AsksAgain(code); ++retry) {
      code = command();
    }
    return Note(code);
  }
  // As Execute, with TpmError for the status.
  template <typename Command>
  absl::Status Run(std::string_view what, Command&& command) {
    return StatusOfCode(Execute(std::forward<Command>(command)), what);
  }

  // Sets the password that commands on this handle are authorised with. One that no TPM would take
  // is InvalidArgument.
  absl::Status SetPassword(ESYS_TR handle, const Secret& password);
  // Flushes every object and session in the TPM, whoever's they are: for a TPM without a resource
  // manager, where they are those of a process that died.
  absl::Status FlushLeftovers();

 private:
  static constexpr int kMaxRetries = 10;

  Esys() = default;
  static bool AsksAgain(TSS2_RC code);  // After a pause, when it does.
  static absl::Status StatusOfCode(TSS2_RC code, std::string_view what);
  TSS2_RC Note(TSS2_RC code);
  absl::Status AskBufferSize();
  absl::Status FlushRange(TPM2_HANDLE first);

  TSS2_TCTI_CONTEXT* tcti_ = nullptr;
  ESYS_CONTEXT* esys_ = nullptr;
  bool lost_ = false, out_of_slots_ = false;
  uint16_t nv_buffer_size_ = 0;
};

// An object or session in one of the TPM's few slots, flushed at the end. The Esys must outlive it.
class Loaded final {
 public:
  Loaded() = default;
  Loaded(Esys& esys, ESYS_TR handle) : esys_(&esys), handle_(handle) {}
  Loaded(Loaded&& other) noexcept
      : esys_(other.esys_), handle_(std::exchange(other.handle_, ESYS_TR_NONE)) {}
  Loaded& operator=(Loaded&& other) noexcept {
    Flush();
    esys_ = other.esys_;
    handle_ = std::exchange(other.handle_, ESYS_TR_NONE);
    return *this;
  }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;
  ~Loaded() { Flush(); }

  ESYS_TR get() const { return handle_; }
  void Flush();

 private:
  Esys* esys_ = nullptr;
  ESYS_TR handle_ = ESYS_TR_NONE;
};

}  // namespace assay::tpm
