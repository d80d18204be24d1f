// llmc's report and the runtime's own are two programs' view of one law (docs/memory.md): they must agree.
#include "compiler/driver/MemoryReport.h"

#include "compiler/pipeline/Compile.h"
#include "runtime/device/cpu/cpu_device.h"
#include "runtime/engine/sizing.h"

#include <filesystem>
#include <gtest/gtest.h>
#include <map>
#include <unistd.h>

namespace fs = std::filesystem;

namespace {

class Silent final : public llmc::Progress {
  void phase(llvm::StringRef) override {}
  void step(llvm::StringRef, uint64_t, uint64_t) override {}
  void warn(llvm::StringRef) override {}
};

struct Case {
  const char *model;
  bool vulkan; // too: the CPU's program is then one of two
};

class MemoryReportTest : public testing::TestWithParam<Case> {
protected:
  MemoryReportTest() {
    path = fs::temp_directory_path() / ("llmc-memory-test-" + std::to_string(getpid()) + ".fbs");
    llmc::CompileOptions options;
    options.model = std::string(LLMC_SOURCE_DIR) + "/test/models/" + GetParam().model;
    options.tiers = {"x86-64-v3"};
    options.quantization = "q8_g32";
    options.output = path.string();
    options.maxNumSeqs = 7;
    options.vulkan = GetParam().vulkan;
    Silent progress;
    auto result = llmc::compile(options, progress, llvm::nulls());
    EXPECT_TRUE(bool(result)) << llvm::toString(result.takeError());
    auto opened = llmrt::Artifact::open(path.string());
    EXPECT_TRUE(opened.ok());
    artifact = *opened;
  }
  ~MemoryReportTest() override { fs::remove(path); }

  fs::path path;
  std::shared_ptr<const llmrt::Artifact> artifact;
};

TEST_P(MemoryReportTest, AgreesWithTheRuntime) {
  llmrt::EngineOptions options;
  options.hidden_states = true; // as the server is started
  // Plenty; a quarter that holds some sequences; one that shortens them.
  for (int64_t available : {int64_t(64) << 30, int64_t(24) << 20, int64_t(1) << 20}) {
    auto sizing = llmrt::size_engine(artifact->meta(), "cpu", options, available);
    ASSERT_TRUE(sizing.ok()) << sizing.status().message();
    auto scratch = llmrt::cpu_scratch_per_thread(*artifact, "x86-64-v3", sizing->limits);
    ASSERT_TRUE(scratch.ok()) << scratch.status().message();
    llmrt::ProcessMemory process;
    process.threads = 3;
    process.scratch_per_thread = *scratch;
    llmrt::MemoryReport expected = llmrt::report_memory(*artifact, *sizing, process);
    auto actual = llmc::reportMemory(*artifact, available, 3);
    ASSERT_TRUE(bool(actual));
    std::map<std::string, int64_t> symbols(expected.symbols.begin(), expected.symbols.end());
    EXPECT_EQ((std::map<std::string, int64_t>(actual->symbols.begin(), actual->symbols.end())), symbols);
    EXPECT_EQ(actual->privateBytes, expected.private_bytes);
    EXPECT_EQ(actual->mappedBytes, expected.mapped_bytes);
    EXPECT_EQ(actual->kvBytesPerPage, expected.kv_bytes_per_page);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, MemoryReportTest,
                         testing::Values(Case{"stories260k", false}, Case{"stories260k", true},
                                         Case{"nano-gpt-sort", false}));

} // namespace
