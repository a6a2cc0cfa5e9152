// SPDX-License-Identifier: GPL-3.0-or-later
#include "tpm/esys.h"

#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "tpm/return_code.h"

namespace assay::tpm {
namespace {

constexpr auto kBusyPause = std::chrono::milliseconds(200);
// What ESYS can carry in one NV_Read, whatever a TPM offers.
constexpr uint32_t kMaxNvBuffer = TPM2_MAX_NV_BUFFER_SIZE;
// The most handles to ask for at once; a TPM without a manager has a handful.
constexpr uint32_t kMaxHandles = 64;

}  // namespace

absl::StatusOr<std::unique_ptr<Esys>> Esys::Open(const TctiChoice& choice) {
  RETURN_IF_ERROR(LoadEsysLibrary());
  std::unique_ptr<Esys> esys(new Esys());
  TSS2_RC code = Tss2_TctiLdr_Initialize(choice.tcti.c_str(), &esys->tcti_);
  if (code == TSS2_RC_SUCCESS) {
    code = ESYS(Initialize)(&esys->esys_, esys->tcti_, nullptr);
  }
  if (code != TSS2_RC_SUCCESS) {
    return DiagnoseOpenFailure(choice, Tss2_RC_Decode(code));
  }
  RETURN_IF_ERROR(esys->AskBufferSize());
  return esys;
}

Esys::~Esys() {
  if (esys_ != nullptr) {
    ESYS(Finalize)(&esys_);
  }
  if (tcti_ != nullptr) {
    Tss2_TctiLdr_Finalize(&tcti_);
  }
}

absl::Status Esys::AskBufferSize() {
  TPMS_CAPABILITY_DATA* raw = nullptr;
  RETURN_IF_ERROR(Run("ask the TPM for its limits", [&] {
    return ESYS(GetCapability)(esys_, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                               TPM2_CAP_TPM_PROPERTIES, TPM2_PT_NV_BUFFER_MAX, 1, nullptr, &raw);
  }));
  const EsysPtr<TPMS_CAPABILITY_DATA> data(raw);
  const TPML_TAGGED_TPM_PROPERTY& properties = data->data.tpmProperties;
  if (properties.count == 0 || properties.tpmProperty[0].property != TPM2_PT_NV_BUFFER_MAX ||
      properties.tpmProperty[0].value == 0) {
    return Unavailable("the TPM does not say how much of its NV memory can be read at once");
  }
  nv_buffer_size_ = std::min(properties.tpmProperty[0].value, kMaxNvBuffer);
  return absl::OkStatus();
}

bool Esys::AsksAgain(TSS2_RC code) {
  if (!IsBusy(code)) {
    return false;
  }
  // A TPM that tests itself says so and nothing else: there is no event to wait for.
  std::this_thread::sleep_for(kBusyPause);
  return true;
}

TSS2_RC Esys::Note(TSS2_RC code) {
  if (code != TSS2_RC_SUCCESS && !IsFromTpm(code)) {
    lost_ = true;
  }
  out_of_slots_ = out_of_slots_ || IsOutOfSlots(code);
  return code;
}

absl::Status Esys::StatusOfCode(TSS2_RC code, std::string_view what) {
  return code == TSS2_RC_SUCCESS ? absl::OkStatus() : TpmError(code, what);
}

absl::Status Esys::SetPassword(ESYS_TR handle, const Secret& password) {
  std::string_view text = password.Reveal();
  // TPMs drop trailing zeros of a password, so one with them would never match.
  text = text.substr(0, text.find_last_not_of('\0') + 1);
  TPM2B_AUTH auth{};
  if (text.size() > sizeof(auth.buffer)) {
    return InvalidArgument("a TPM password has {} bytes, wanted at most {}", text.size(),
                           sizeof(auth.buffer));
  }
  auth.size = static_cast<UINT16>(text.size());
  std::copy(text.begin(), text.end(), auth.buffer);
  const absl::Status status =
      Run("set a password", [&] { return ESYS(TR_SetAuth)(esys_, handle, &auth); });
  Wipe(&auth, sizeof(auth));
  return status;
}

absl::Status Esys::FlushLeftovers() {
  out_of_slots_ = false;
  RETURN_IF_ERROR(FlushRange(TPM2_TRANSIENT_FIRST));
  RETURN_IF_ERROR(FlushRange(TPM2_LOADED_SESSION_FIRST));
  return FlushRange(TPM2_HR_POLICY_SESSION);  // Where sessions that were saved are listed.
}

absl::Status Esys::FlushRange(TPM2_HANDLE first) {
  TPMS_CAPABILITY_DATA* raw = nullptr;
  RETURN_IF_ERROR(Run("list what is loaded in the TPM", [&] {
    return ESYS(GetCapability)(esys_, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_HANDLES,
                               first, kMaxHandles, nullptr, &raw);
  }));
  const EsysPtr<TPMS_CAPABILITY_DATA> data(raw);
  const TPML_HANDLE& handles = data->data.handles;
  for (uint32_t i = 0; i < handles.count; ++i) {
    ESYS_TR handle = ESYS_TR_NONE;
    if (Execute([&] {
          return ESYS(TR_FromTPMPublic)(esys_, handles.handle[i], ESYS_TR_NONE, ESYS_TR_NONE,
                                        ESYS_TR_NONE, &handle);
        }) == TSS2_RC_SUCCESS) {
      Loaded(*this, handle).Flush();
    }
  }
  return absl::OkStatus();
}

void Loaded::Flush() {
  if (handle_ != ESYS_TR_NONE && !esys_->lost()) {
    esys_->Execute([&] { return ESYS(FlushContext)(esys_->get(), handle_); });
  }
  handle_ = ESYS_TR_NONE;
}

}  // namespace assay::tpm
