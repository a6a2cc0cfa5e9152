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
# libcurl is loaded when something is fetched (base/http_fetch.h).
find_path(CURL_INCLUDE_FOLDER curl/curl.h REQUIRED)
find_program(GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)

# The static libraries of these names where there are, else the shared ones.
function(link_static TARGET)
  set(CMAKE_FIND_LIBRARY_SUFFIXES .a .so)
  foreach(name ${ARGN})
    find_library(${name}_library ${name})
    mark_as_advanced(${name}_library)
    if(${name}_library)
      target_link_libraries(${TARGET} INTERFACE "${${name}_library}")
    elseif(name STREQUAL "atomic")
      target_link_libraries(${TARGET} INTERFACE ${name})  # The compiler's own, in a folder of its.
    else()
      message(FATAL_ERROR "library ${name} was not found: scripts/install-deps.sh installs it")
    endif()
  endforeach()
endfunction()

# Target NAME of the libraries of pkg-config modules. pkg_check_modules would ask twenty times, and
# gRPC's answer takes a second.
function(add_static_module NAME)
  execute_process(COMMAND ${PKG_CONFIG_EXECUTABLE} --libs-only-l ${ARGN} OUTPUT_VARIABLE flags
                  OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(flags)
  # Each once, after all that need it.
  list(REVERSE flags)
  list(REMOVE_DUPLICATES flags)
  list(REVERSE flags)
  list(TRANSFORM flags REPLACE "^-l" "")
  add_library(${NAME} INTERFACE)
  link_static(${NAME} ${flags})
endfunction()

# Linked statically: some fifty shared libraries would be relocated anew in each role's process, for
# a megabyte of memory and ten milliseconds of start each.
set(Protobuf_USE_STATIC_LIBS ON)
find_package(Protobuf REQUIRED)
add_static_module(ABSL absl_status absl_statusor absl_time)
add_static_module(GRPC grpc++_unsecure)
# What gRPC's pkg-config file leaves out.
link_static(GRPC upb re2 address_sorting cares z)
# Regular expressions as Go has them.
add_library(RE2 INTERFACE)
link_static(RE2 re2)
# HTTP/1.1 requests.
add_library(HTTP_PARSER INTERFACE)
link_static(HTTP_PARSER http_parser)
# Metrics. The package has no static library.
add_library(PROMETHEUS INTERFACE)
find_library(prometheus_library prometheus-cpp-core REQUIRED)
target_link_libraries(PROMETHEUS INTERFACE "${prometheus_library}")
