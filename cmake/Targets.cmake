# llmrt_library(name SOURCES a.cpp ... LINK lib ...): a library of the runtime (no LLVM, no exceptions across it).
function(llmrt_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC llmc_options Threads::Threads ${ARG_LINK})
endfunction()

# libMLIR is not instrumented: what it allocates and we use, and the reverse, must not be checked for these two.
set(LLMC_ASAN_OPTIONS "detect_container_overflow=0:allow_user_poisoning=0")
# For tests that load GPU drivers: those that libvulkan loads leak a little at their end.
set(LLMC_DRIVER_ASAN_OPTIONS "${LLMC_ASAN_OPTIONS}:detect_leaks=0")

# llmc_test(name SOURCES a_test.cpp ... LINK lib ... [LABELS x]): a GoogleTest program, one ctest entry.
function(llmc_test name)
  if(NOT LLMC_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;LABELS;ARGS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE llmc_options ${ARG_LINK} GTest::gmock GTest::gtest GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE LLMC_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name} ${ARG_ARGS})
  set_tests_properties(${name} PROPERTIES TIMEOUT 600 LABELS "unit;${ARG_LABELS}"
    ENVIRONMENT "ASAN_OPTIONS=${LLMC_ASAN_OPTIONS}")
endfunction()

# llmc_fuzzer(name SOURCES a_fuzz.cpp LINK lib ...): a libFuzzer program in bin/fuzz, built when LLMC_FUZZERS is on.
function(llmc_fuzzer name)
  if(NOT LLMC_FUZZERS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE llmc_options ${ARG_LINK})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin/fuzz)
endfunction()
