// SPDX-License-Identifier: GPL-3.0-or-later
#include "crypto/tls.h"

#include "crypto/wolfcrypt.h"
// wolfCrypt's options come first.
#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "crypto/pem.h"

namespace assay::crypto {
namespace {

constexpr std::string_view kProtocol = "h2", kOldProtocol = "http/1.1";
constexpr size_t kReadBytes = 16 << 10;  // The most that one TLS record carries.

// ChaCha20-Poly1305 first: wolfSSL's AES may be one of tables, slow and leaking by its timing.
constexpr char kSuites[] =
    "TLS13-CHACHA20-POLY1305-SHA256:TLS13-AES256-GCM-SHA384:TLS13-AES128-GCM-SHA256";

struct FreeContext {
  void operator()(WOLFSSL_CTX* context) const { wolfSSL_CTX_free(context); }
};
struct FreeSession {
  void operator()(WOLFSSL* session) const { wolfSSL_free(session); }
};

bool Initialized() {
  static const bool initialized = wolfSSL_Init() == WOLFSSL_SUCCESS;
  return initialized;
}

// The hybrids that this wolfSSL can do, best first.
std::vector<int> PostQuantumGroups() {
  std::vector<int> groups;
#if LIBWOLFSSL_VERSION_HEX >= 0x05008000 && defined(WOLFSSL_HAVE_MLKEM)
  const std::unique_ptr<WOLFSSL_CTX, FreeContext> context(
      Initialized() ? wolfSSL_CTX_new(wolfTLSv1_3_client_method()) : nullptr);
  for (int group :
       {WOLFSSL_X25519MLKEM768, WOLFSSL_SECP256R1MLKEM768, WOLFSSL_SECP384R1MLKEM1024}) {
    if (context != nullptr && wolfSSL_CTX_set_groups(context.get(), &group, 1) == WOLFSSL_SUCCESS) {
      groups.push_back(group);
    }
  }
#endif
  return groups;
}

// What an alert says (RFC 8446 §6), in the words that other stacks log.
std::string AlertWords(int code) {
  static constexpr std::pair<int, std::string_view> kWords[] = {
      {unexpected_message, "unexpected message"},
      {bad_record_mac, "bad record mac"},
      {handshake_failure, "handshake failure"},
      {bad_certificate, "bad certificate"},
      {unsupported_certificate, "unsupported certificate"},
      {certificate_revoked, "revoked certificate"},
      {certificate_expired, "expired certificate"},
      {certificate_unknown, "unknown certificate"},
      {illegal_parameter, "illegal parameter"},
      {unknown_ca, "unknown certificate authority"},
      {access_denied, "access denied"},
      {decode_error, "error decoding message"},
      {decrypt_error, "error decrypting message"},
      {wolfssl_alert_protocol_version, "protocol version not supported"},
      {insufficient_security, "insufficient security level"},
      {internal_error, "internal error"},
      {missing_extension, "missing extension"},
      {unsupported_extension, "unsupported extension"},
      {certificate_required, "certificate required"},
      {no_application_protocol, "no application protocol"}};
  const auto* found =
      std::find_if(std::begin(kWords), std::end(kWords), [&](auto& w) { return w.first == code; });
  return found != std::end(kWords) ? std::string(found->second) : fmt::format("alert {}", code);
}

absl::StatusOr<Hash> HashOfSize(size_t size) {
  for (Hash hash : {Hash::kSha256, Hash::kSha384, Hash::kSha512}) {
    if (DigestSize(hash) == size) {
      return hash;
    }
  }
  return Internal("tls asks for a signature of {} bytes, no digest has that size", size);
}

std::string ToPem(const std::vector<Certificate>& chain) {
  std::string pem;
  for (const Certificate& certificate : chain) {
    pem += PemEncode("CERTIFICATE", certificate.der());
  }
  return pem;
}

}  // namespace

bool HasPostQuantum() { return !PostQuantumGroups().empty(); }

absl::Status CheckPostQuantum() {
  if (HasPostQuantum()) {
    return absl::OkStatus();
  }
  return FailedPrecondition(
      "wolfSSL {} was built without post-quantum key exchange: build with wolfSSL 5.8 or later "
      "that "
      "has ML-KEM (--enable-mlkem)",
      wolfSSL_lib_version());
}

struct TlsConnection::Impl {
  absl::Status Init(const TlsIdentity* identity);
  absl::Status UseIdentity(const TlsIdentity& identity);
  std::string_view ProtocolName() const {
    return protocol == ServerOptions::Protocol::kHttp1 ? kOldProtocol : kProtocol;
  }
  absl::Status Configure();
  absl::Status Advance();
  absl::Status Handshake();
  absl::Status FinishHandshake();
  absl::Status ReadPlaintext();
  absl::Status Fail(absl::Status status);
  absl::Status WolfFailure(std::string_view what, int result);

  // Whether the peer may go on; the reason is kept in refusal.
  bool Judge(const WOLFSSL_BUFFER_INFO* certificates, int count);
  // Zero, or a negative number and the reason in signing.
  int Sign(SignatureScheme::Kind kind, std::string_view digest, unsigned char* out,
           unsigned int* out_size);

  static int OnVerify(int preverified, WOLFSSL_X509_STORE_CTX* store);
  static int OnReceive(WOLFSSL* session, char* out, int size, void* self);
  static int OnSend(WOLFSSL* session, char* bytes, int size, void* self);

  bool is_server = false;
  ServerOptions::Protocol protocol = ServerOptions::Protocol::kHttp2;
  bool require_post_quantum = false;
  std::shared_ptr<const Signer> signer;  // Null: anonymous.
  ChainVerifier verify;

  std::unique_ptr<WOLFSSL_CTX, FreeContext> context;
  std::unique_ptr<WOLFSSL, FreeSession> session;

  std::string input, output, plaintext;
  size_t consumed = 0;  // Of input.
  std::vector<Certificate> presented;
  bool judged = false;
  bool handshake_done = false;
  bool peer_closed = false;
  absl::Status refusal, signing, failure;
};

int TlsConnection::Impl::OnReceive(WOLFSSL*, char* out, int size, void* self) {
  auto& impl = *static_cast<Impl*>(self);
  const size_t count =
      std::min(impl.input.size() - impl.consumed, static_cast<size_t>(std::max(size, 0)));
  if (count == 0) {
    return WOLFSSL_CBIO_ERR_WANT_READ;
  }
  std::memcpy(out, impl.input.data() + impl.consumed, count);
  impl.consumed += count;
  return static_cast<int>(count);
}

int TlsConnection::Impl::OnSend(WOLFSSL*, char* bytes, int size, void* self) {
  static_cast<Impl*>(self)->output.append(bytes, static_cast<size_t>(std::max(size, 0)));
  return size;
}

// wolfSSL calls back for every certificate, the leaf last. What it thinks of them is never asked:
// the leaf's turn judges the whole chain, and a failure there is the failure.
int TlsConnection::Impl::OnVerify(int, WOLFSSL_X509_STORE_CTX* store) {
  auto& impl = *static_cast<Impl*>(store->userCtx);
  if (store->error_depth != 0) {
    return 1;
  }
  return impl.Judge(store->certs, store->totalCerts) ? 1 : 0;
}

bool TlsConnection::Impl::Judge(const WOLFSSL_BUFFER_INFO* certificates, int count) {
  if (judged || handshake_done) {
    refusal = PermissionDenied("the peer presented certificates twice");
    return false;
  }
  judged = true;
  if (count <= 0 && is_server) {
    return true;
  }
  std::vector<Certificate> chain;
  for (int i = 0; i < count; ++i) {
    auto certificate = Certificate::Parse(
        {reinterpret_cast<const char*>(certificates[i].buffer), certificates[i].length});
    if (!certificate.ok()) {
      refusal = WithContext(certificate.status(), fmt::format("certificate {} of the peer", i));
      return false;
    }
    chain.push_back(*std::move(certificate));
  }
  refusal = chain.empty() ? PermissionDenied("the peer presented no certificate") : verify(chain);
  if (refusal.ok()) {
    presented = std::move(chain);
  }
  return refusal.ok();
}

int TlsConnection::Impl::Sign(SignatureScheme::Kind kind, std::string_view digest,
                              unsigned char* out, unsigned int* out_size) {
  const auto hash = HashOfSize(digest.size());
  if (!hash.ok()) {
    signing = hash.status();
    return SIG_VERIFY_E;
  }
  const SignatureScheme scheme{kind, *hash};
  const auto signature = signer->SignDigest(scheme, digest);
  if (!signature.ok()) {
    signing = WithContext(signature.status(), "signing the tls handshake");
    return SIG_VERIFY_E;
  }
  if (signature->size() > *out_size) {
    signing = Internal("signature of the tls handshake has {} bytes, at most {} fit",
                       signature->size(), *out_size);
    return SIG_VERIFY_E;
  }
  std::memcpy(out, signature->data(), signature->size());
  *out_size = static_cast<unsigned int>(signature->size());
  return 0;
}

absl::Status TlsConnection::Impl::Init(const TlsIdentity* identity) {
  if (!Initialized()) {
    return Internal("wolfssl does not initialize");
  }
  if (!verify) {
    return InvalidArgument("tls: no verifier of the peer's chain is given");
  }
  FreeCurveTablesAtThreadExit();
  context.reset(
      wolfSSL_CTX_new(is_server ? wolfTLSv1_3_server_method() : wolfTLSv1_3_client_method()));
  if (context == nullptr) {
    return ResourceExhausted("no memory for a tls context");
  }
  wolfSSL_CTX_set_verify(context.get(), WOLFSSL_VERIFY_PEER, &OnVerify);
  wolfSSL_CTX_set_session_cache_mode(context.get(), WOLFSSL_SESS_CACHE_OFF);
  wolfSSL_CTX_no_ticket_TLSv13(context.get());
  wolfSSL_CTX_set_TicketEncCb(context.get(), nullptr);
  if (identity != nullptr) {
    RETURN_IF_ERROR(UseIdentity(*identity));
  }
  session.reset(wolfSSL_new(context.get()));
  if (session == nullptr) {
    return ResourceExhausted("no memory for a tls session");
  }
  return Configure();
}

absl::Status TlsConnection::Impl::UseIdentity(const TlsIdentity& identity) {
  if (identity.chain.empty() || identity.signer == nullptr ||
      identity.chain.front().public_key() != identity.signer->public_key()) {
    return InvalidArgument("tls identity: the leaf certificate is not of the signer's key");
  }
  const std::string pem = ToPem(identity.chain);
  const int loaded = wolfSSL_CTX_use_certificate_chain_buffer(context.get(), AsBytes(pem),
                                                              static_cast<long>(pem.size()));
  if (loaded != WOLFSSL_SUCCESS) {
    return InvalidArgument("tls identity: certificate chain does not load: {}", WolfError(loaded));
  }
  signer = identity.signer;
  wolfSSL_CTX_SetEccSignCb(
      context.get(), [](WOLFSSL*, const unsigned char* in, unsigned int in_size, unsigned char* out,
                        unsigned int* out_size, const unsigned char*, unsigned int, void* self) {
        return static_cast<Impl*>(self)->Sign(SignatureScheme::Kind::kEcdsa,
                                              {reinterpret_cast<const char*>(in), in_size}, out,
                                              out_size);
      });
  wolfSSL_CTX_SetRsaPssSignCb(
      context.get(),
      [](WOLFSSL*, const unsigned char* in, unsigned int in_size, unsigned char* out,
         unsigned int* out_size, int, int, const unsigned char*, unsigned int, void* self) {
        return static_cast<Impl*>(self)->Sign(SignatureScheme::Kind::kRsaPss,
                                              {reinterpret_cast<const char*>(in), in_size}, out,
                                              out_size);
      });
  // wolfSSL would check its own signature against computation faults with a key it does not have.
  wolfSSL_CTX_SetRsaPssSignCheckCb(
      context.get(), [](WOLFSSL*, unsigned char*, unsigned int, unsigned char**, int, int,
                        const unsigned char*, unsigned int, void*) { return 0; });
  return absl::OkStatus();
}

absl::Status TlsConnection::Impl::Configure() {
  WOLFSSL* const tls = session.get();
  wolfSSL_SetCertCbCtx(tls, this);
  wolfSSL_SetEccSignCtx(tls, this);
  wolfSSL_SetRsaPssSignCtx(tls, this);
  wolfSSL_SSLSetIORecv(tls, &OnReceive);
  wolfSSL_SSLSetIOSend(tls, &OnSend);
  wolfSSL_SetIOReadCtx(tls, this);
  wolfSSL_SetIOWriteCtx(tls, this);
  std::string offered(ProtocolName());
  static const std::vector<int> post_quantum = PostQuantumGroups();
  std::vector<int> groups = post_quantum;
  if (!require_post_quantum) {
    // X25519 first: wolfSSL's P-256 key exchange may be six times slower.
    groups.insert(groups.end(), {WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1, WOLFSSL_ECC_SECP384R1});
  }
  RETURN_IF_ERROR(require_post_quantum ? CheckPostQuantum() : absl::OkStatus());
  const bool configured =
      wolfSSL_set_cipher_list(tls, kSuites) == WOLFSSL_SUCCESS &&
      wolfSSL_set_groups(tls, groups.data(), static_cast<int>(groups.size())) == WOLFSSL_SUCCESS &&
      wolfSSL_UseALPN(tls, offered.data(), static_cast<unsigned int>(offered.size()),
                      WOLFSSL_ALPN_FAILED_ON_MISMATCH) == WOLFSSL_SUCCESS &&
      (is_server || wolfSSL_UseKeyShare(tls, groups[0]) == WOLFSSL_SUCCESS);
  return configured ? absl::OkStatus() : Internal("wolfssl refuses the tls configuration");
}

absl::Status TlsConnection::Impl::Fail(absl::Status status) {
  wolfSSL_ERR_clear_error();
  failure = std::move(status);
  return failure;
}

absl::Status TlsConnection::Impl::WolfFailure(std::string_view what, int result) {
  const int error = wolfSSL_get_error(session.get(), result);
  if (!refusal.ok()) {
    return Fail(refusal);
  }
  if (!signing.ok()) {
    return Fail(signing);
  }
  WOLFSSL_ALERT_HISTORY alerts{};
  if (wolfSSL_get_alert_history(session.get(), &alerts) == WOLFSSL_SUCCESS &&
      alerts.last_rx.level == alert_fatal) {
    return Fail(Unavailable("remote error: tls: {}", AlertWords(alerts.last_rx.code)));
  }
  return Fail(Unavailable("{}: {}", what,
                          wolfSSL_ERR_reason_error_string(static_cast<unsigned long>(error))));
}

absl::Status TlsConnection::Impl::Handshake() {
  const int result = is_server ? wolfSSL_accept(session.get()) : wolfSSL_connect(session.get());
  if (result == WOLFSSL_SUCCESS) {
    return FinishHandshake();
  }
  if (wolfSSL_get_error(session.get(), result) == WOLFSSL_ERROR_WANT_READ) {
    return absl::OkStatus();
  }
  return WolfFailure("tls handshake", result);
}

// Looks once more at what wolfSSL is configured to guarantee.
absl::Status TlsConnection::Impl::FinishHandshake() {
  char* agreed = nullptr;
  unsigned short size = 0;
  const int found = wolfSSL_ALPN_GetProtocol(session.get(), &agreed, &size);
  const bool is_unnamed =
      found == WOLFSSL_ALPN_NOT_FOUND && protocol == ServerOptions::Protocol::kHttp1;
  if (!is_unnamed &&
      (found != WOLFSSL_SUCCESS || std::string_view(agreed, size) != ProtocolName())) {
    wolfSSL_shutdown(session.get());
    return Fail(Unavailable("tls handshake: the peer does not speak {}", ProtocolName()));
  }
  if (!judged || (presented.empty() && !is_server) || wolfSSL_session_reused(session.get()) != 0) {
    return Fail(Internal("tls handshake: done without a verified peer"));
  }
  handshake_done = true;
  return absl::OkStatus();
}

absl::Status TlsConnection::Impl::ReadPlaintext() {
  while (!peer_closed) {
    char buffer[kReadBytes];
    const int count = wolfSSL_read(session.get(), buffer, sizeof(buffer));
    if (count > 0) {
      plaintext.append(buffer, static_cast<size_t>(count));
      continue;
    }
    switch (wolfSSL_get_error(session.get(), count)) {
      case WOLFSSL_ERROR_WANT_READ:
        return absl::OkStatus();
      case WOLFSSL_ERROR_ZERO_RETURN:
        peer_closed = true;
        break;
      default:
        return WolfFailure("tls", count);
    }
  }
  return absl::OkStatus();
}

absl::Status TlsConnection::Impl::Advance() {
  if (!handshake_done) {
    RETURN_IF_ERROR(Handshake());
  }
  return handshake_done ? ReadPlaintext() : absl::OkStatus();
}

TlsConnection::TlsConnection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsConnection::~TlsConnection() = default;

absl::StatusOr<std::unique_ptr<TlsConnection>> TlsConnection::CreateClient(
    const ClientOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->verify = options.verify_server;
  impl->require_post_quantum = options.require_post_quantum;
  RETURN_IF_ERROR(impl->Init(options.identity));
  return std::unique_ptr<TlsConnection>(new TlsConnection(std::move(impl)));
}

absl::StatusOr<std::unique_ptr<TlsConnection>> TlsConnection::CreateServer(
    const ServerOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->is_server = true;
  impl->protocol = options.protocol;
  impl->verify = options.verify_client;
  RETURN_IF_ERROR(impl->Init(&options.identity));
  return std::unique_ptr<TlsConnection>(new TlsConnection(std::move(impl)));
}

absl::Status TlsConnection::Feed(std::string_view bytes) {
  RETURN_IF_ERROR(impl_->failure);
  impl_->input.append(bytes);
  absl::Status status = impl_->Advance();
  impl_->input.erase(0, std::exchange(impl_->consumed, 0));
  return status;
}

absl::Status TlsConnection::Start() { return Feed({}); }

bool TlsConnection::handshake_done() const { return impl_->handshake_done; }
bool TlsConnection::peer_closed() const { return impl_->peer_closed; }

std::string TlsConnection::TakePlaintext() { return std::exchange(impl_->plaintext, {}); }
std::string TlsConnection::TakeOutput() { return std::exchange(impl_->output, {}); }

absl::Status TlsConnection::Write(std::string_view plaintext) {
  RETURN_IF_ERROR(impl_->failure);
  if (!impl_->handshake_done) {
    return FailedPrecondition("tls: nothing can be written before the handshake is done");
  }
  while (!plaintext.empty()) {
    const size_t size = std::min<size_t>(plaintext.size(), 1 << 20);
    const int written =
        wolfSSL_write(impl_->session.get(), plaintext.data(), static_cast<int>(size));
    if (written <= 0) {
      return impl_->WolfFailure("tls write", written);
    }
    plaintext.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

void TlsConnection::Close() {
  if (impl_->failure.ok()) {
    wolfSSL_shutdown(impl_->session.get());
  }
}

const std::vector<Certificate>& TlsConnection::peer_chain() const {
  static const std::vector<Certificate> none;
  return impl_->handshake_done ? impl_->presented : none;
}

}  // namespace assay::crypto
