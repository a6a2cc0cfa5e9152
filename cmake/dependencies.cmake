# SPDX-License-Identifier: GPL-3.0-or-later
# What Debian 12 packages give us. Each is linked by the one folder that fences it.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(GTest REQUIRED)
pkg_check_modules(FMT REQUIRED IMPORTED_TARGET fmt)
pkg_check_modules(SPDLOG REQUIRED IMPORTED_TARGET spdlog)
pkg_check_modules(WOLFSSL REQUIRED IMPORTED_TARGET wolfssl)
# Of tpm2-tss, ESYS is loaded when a TPM is opened (tpm/esys_library.h).
pkg_check_modules(TSS2 REQUIRED IMPORTED_TARGET tss2-mu tss2-rc tss2-tctildr)
pkg_check_modules(NGHTTP2 REQUIRED IMPORTED_TARGET libnghttp2)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(SYSTEMD REQUIRED IMPORTED_TARGET libsystemd)
find_program(GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)

# Linked statically: some fifty shared libraries would be relocated anew in each role's process, for
# a megabyte of memory and ten milliseconds of start each.
set(Protobuf_USE_STATIC_LIBS ON)
find_package(Protobuf REQUIRED)
set(shared_first "${CMAKE_FIND_LIBRARY_SUFFIXES}")
set(CMAKE_FIND_LIBRARY_SUFFIXES .a .so)
pkg_check_modules(ABSL REQUIRED IMPORTED_TARGET absl_status absl_statusor absl_time)
pkg_check_modules(GRPC REQUIRED IMPORTED_TARGET grpc++_unsecure)
# What gRPC's pkg-config file leaves out.
foreach(library upb re2 address_sorting cares z)
  find_library(GRPC_${library} ${library} REQUIRED)
  target_link_libraries(PkgConfig::GRPC INTERFACE "${GRPC_${library}}")
endforeach()
set(CMAKE_FIND_LIBRARY_SUFFIXES "${shared_first}")
