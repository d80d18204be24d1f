# MLIR and LLVM 22 as Debian installs them: two shared libraries outside the default search path.
find_package(MLIR REQUIRED CONFIG HINTS /usr/lib/llvm-22/lib/cmake/mlir)
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)

add_library(llmc_mlir INTERFACE)
target_include_directories(llmc_mlir SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
target_link_libraries(llmc_mlir INTERFACE MLIR LLVM)
target_link_options(llmc_mlir INTERFACE -Wl,-rpath,/usr/lib/llvm-22/lib)

# One precompiled header for the whole compile side; it pays with clang only (4.7 s a file becomes 1.3 s).
add_library(llmc_pch OBJECT ${PROJECT_SOURCE_DIR}/cmake/pch.cpp)
target_link_libraries(llmc_pch PUBLIC llmc_options llmc_mlir)
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  target_precompile_headers(llmc_pch PRIVATE ${PROJECT_SOURCE_DIR}/cmake/pch.h)
  target_compile_options(llmc_pch PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  # Its bytes hold absolute paths. ccache takes this sum of what it is made of in their place (CCACHE_PCH_EXTSUM), so
  # that clones share their compiled files.
  file(SHA256 ${PROJECT_SOURCE_DIR}/cmake/pch.h pch_sum)
  file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/CMakeFiles/llmc_pch.dir/cmake_pch.hxx.pch.sum
    CONTENT "${pch_sum} ${LLVM_PACKAGE_VERSION} ${CMAKE_CXX_COMPILER_VERSION} ${CMAKE_CXX_FLAGS} ${LLMC_SANITIZE}\n")
endif()

# llmc_compiler_library(name SOURCES a.cpp ... LINK lib ...): a library of the compile side.
function(llmc_compiler_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC llmc_options llmc_mlir ${ARG_LINK})
  llmc_use_pch(${name})
endfunction()

function(llmc_use_pch name)
  if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
    target_precompile_headers(${name} REUSE_FROM llmc_pch)
    target_compile_options(${name} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  endif()
endfunction()

# llmc_tablegen(target input.td [-gen-x output.inc ...]...): the files are written beside the input, in the build tree.
function(llmc_tablegen target input)
  set(LLVM_TARGET_DEFINITIONS ${input})
  set(args ${ARGN})
  while(args)
    list(POP_FRONT args flag output)
    string(REPLACE "," ";" flags ${flag})
    mlir_tablegen(${output} ${flags} EXTRA_INCLUDES ${PROJECT_SOURCE_DIR})
  endwhile()
  add_public_tablegen_target(${target})
endfunction()
