# Flags every target shares: warnings, sanitizers, and what makes two builds of one source the same.
add_library(llmc_options INTERFACE)
target_compile_options(llmc_options INTERFACE -Wall -Wextra -Wno-unused-parameter -fno-math-errno -ffp-contract=off)
if(LLMC_WERROR)
  target_compile_options(llmc_options INTERFACE -Werror)
endif()
target_include_directories(llmc_options INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})

if(LLMC_SANITIZE)
  add_compile_options(-fsanitize=${LLMC_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${LLMC_SANITIZE})
endif()

if(LLMC_FUZZERS)
  add_compile_options(-fsanitize=fuzzer-no-link) # coverage in the libraries; the fuzz targets link the driver
endif()

# Size and start-up: what nobody calls is dropped, and llmrt needs nothing but libc.
add_compile_options(-ffunction-sections -fdata-sections)
add_link_options(-Wl,--gc-sections)
if(NOT LLMC_SANITIZE)
  set(LLMC_STATIC_CXX -static-libstdc++ -static-libgcc)
endif()
find_package(Threads REQUIRED)
