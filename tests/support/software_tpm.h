// SPDX-License-Identifier: GPL-3.0-or-later
// A TPM of a test's own: swtpm with its state in a folder that goes away, an endorsement
// certificate of a private manufacturer, and a socket that is also a tpm_device_path. Making the
// state takes a second, so it is made once in a process and copied. Where swtpm or tpm2-tools are
// not installed, a test says so loudly and is skipped.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/unique_fd.h"
#include "tests/support/temp_folder.h"

namespace assay {

class SoftwareTpm final {
 public:
  // Null where the programs for it are missing, after saying so.
  static std::unique_ptr<SoftwareTpm> Start() {
    if (Manufactured().empty()) {
      std::fprintf(stderr,
                   "*** SKIPPED: this test needs swtpm, swtpm-tools and tpm2-tools, and one of "
                   "them is missing or does not work ***\n");
      return nullptr;
    }
    return std::unique_ptr<SoftwareTpm>(new SoftwareTpm());
  }
  ~SoftwareTpm() { Stop(); }
  SoftwareTpm(const SoftwareTpm&) = delete;
  SoftwareTpm& operator=(const SoftwareTpm&) = delete;

  // The data socket; the control socket is beside it, with ".ctrl" after its name.
  std::string socket() const { return folder_.path() + "/tpm.sock"; }
  // PEM of the authority that issued the endorsement certificate.
  static std::string EndorsementCa() { return Manufactured() + "/ca/issuercert.pem"; }

  // As a crash or a power loss: nothing is shut down in order.
  void Stop() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    pid_ = -1;
  }
  void Restart() {
    Stop();
    Launch();
  }

  // Runs a line of the shell with tpm2-tools' programs on this TPM; its output. A failure fails the
  // test.
  std::string Run(const std::string& command) const {
    return Shell("export TPM2TOOLS_TCTI=swtpm:path=" + socket() + "; cd " + folder_.path() + "; " +
                 command);
  }
  // How many objects or sessions are loaded: kind is handles-transient, handles-loaded-session or
  // handles-saved-session.
  int CountHandles(const std::string& kind) const {
    const std::string listed = Run("tpm2_getcap " + kind);
    int count = 0;
    for (size_t at = listed.find("0x"); at != listed.npos; at = listed.find("0x", at + 1)) {
      ++count;
    }
    return count;
  }
  // Wrong passwords that the TPM counted.
  int LockoutCounter() const {
    const std::string listed = Run("tpm2_getcap properties-variable | grep LOCKOUT_COUNTER");
    return std::stoi(listed.substr(listed.find("0x")), nullptr, 16);
  }

 private:
  SoftwareTpm() {
    std::filesystem::copy(Manufactured() + "/state", folder_.path() + "/state",
                          std::filesystem::copy_options::recursive);
    std::filesystem::remove(folder_.path() + "/state/.lock");
    Launch();
  }

  static std::string Shell(const std::string& command) {
    std::string output;
    FILE* pipe = popen(("{ " + command + "\n} 2>&1").c_str(), "r");
    char buffer[4096];
    for (size_t size = 0; (size = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
      output.append(buffer, size);
    }
    EXPECT_EQ(pclose(pipe), 0) << command << "\n" << output;
    return output;
  }

  // The folder of the state that is copied, empty when it could not be made.
  static const std::string& Manufactured() {
    static const TempFolder folder;
    static const std::string made = Manufacture(folder.path()) ? folder.path() : "";
    return made;
  }
  static bool Manufacture(const std::string& folder) {
    if (std::system("command -v swtpm swtpm_setup swtpm_localca tpm2_getcap >/dev/null") != 0) {
      return false;
    }
    std::filesystem::create_directories(folder + "/state");
    std::filesystem::create_directories(folder + "/ca");
    std::ofstream(folder + "/ca.conf")
        << "statedir=" << folder << "/ca\nsigningkey=" << folder
        << "/ca/signkey.pem\nissuercert=" << folder << "/ca/issuercert.pem\ncertserial=" << folder
        << "/ca/certserial\n";
    std::ofstream(folder + "/ca.options")
        << "--platform-manufacturer Test\n--platform-version 1\n--platform-model Test\n";
    std::ofstream(folder + "/setup.conf")
        << "create_certs_tool=swtpm_localca\ncreate_certs_tool_config=" << folder
        << "/ca.conf\ncreate_certs_tool_options=" << folder
        << "/ca.options\nactive_pcr_banks=sha1,sha256\n";
    const std::string command = "swtpm_setup --config " + folder +
                                "/setup.conf --tpm2 --tpmstate " + folder +
                                "/state --create-ek-cert --overwrite --logfile " + folder +
                                "/log </dev/null >/dev/null 2>&1";
    if (std::system(command.c_str()) != 0) {
      std::cerr << std::ifstream(folder + "/log").rdbuf();
      return false;
    }
    return true;
  }

  void Launch() {
    std::filesystem::remove(socket());
    std::filesystem::remove(socket() + ".ctrl");
    const std::string state = "dir=" + folder_.path() + "/state";
    const std::string server = "type=unixio,path=" + socket();
    const std::string control = server + ".ctrl";
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      // It tells of each command.
      const int log = open("/dev/null", O_WRONLY);
      dup2(log, STDOUT_FILENO);
      dup2(log, STDERR_FILENO);
      execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state.c_str(), "--server",
             server.c_str(), "--ctrl", control.c_str(), "--flags", "not-need-init,startup-clear",
             "--seccomp", "action=none", static_cast<char*>(nullptr));
      _exit(127);
    }
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!(Listens(socket()) && Listens(socket() + ".ctrl"))) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "swtpm did not start";
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

  static bool Listens(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    const UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }

  TempFolder folder_;
  pid_t pid_ = -1;
};

}  // namespace assay

// Declares a running TPM, or skips the test.
#define ASSAY_SOFTWARE_TPM(name)                                                    \
  const std::unique_ptr<::assay::SoftwareTpm> name = ::assay::SoftwareTpm::Start(); \
  if (name == nullptr) {                                                            \
    GTEST_SKIP() << "swtpm, swtpm-tools or tpm2-tools are missing";                 \
  }                                                                                 \
  static_assert(true)
