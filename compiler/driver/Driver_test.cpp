#include "compiler/driver/Driver.h"

#include "llvm/Support/raw_ostream.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;

namespace {

const std::string kModel = std::string(LLMC_SOURCE_DIR) + "/test/models/stories260k";

class Driver : public testing::Test {
protected:
  Driver() {
    folder = fs::temp_directory_path() / ("llmc-driver-test-" + std::to_string(getpid()));
    fs::remove_all(folder);
    fs::create_directories(folder);
    artifact = (folder / "a.fbs").string();
  }
  ~Driver() override { fs::remove_all(folder); }

  int run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "llmc");
    std::vector<char *> argv;
    for (std::string &argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    int code = llmc::runDriver(int(arguments.size()), argv.data());
    llvm::outs().flush();
    out = testing::internal::GetCapturedStdout();
    err = testing::internal::GetCapturedStderr();
    return code;
  }
  // Wrong usage that names the flag.
  void expectUsage(std::vector<std::string> arguments, const std::string &message) {
    EXPECT_EQ(run(arguments), 2) << message;
    EXPECT_THAT(err, HasSubstr(message));
    EXPECT_THAT(out, IsEmpty());
  }
  int compile(std::vector<std::string> more) {
    std::vector<std::string> arguments = {"compile", kModel, "--cpu-tier", "x86-64-v3", "-o", artifact};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }

  fs::path folder;
  std::string artifact, out, err;
};

TEST_F(Driver, WrongUsageIsTwo) {
  expectUsage({}, "subcommand is required");
  expectUsage({"frobnicate"}, "frobnicate");
  expectUsage({"compile"}, "MODEL is required");
  expectUsage({"compile", kModel, "--no-such-flag"}, "--no-such-flag");
  expectUsage({"compile", kModel, "--max-num-seqs", "many"}, "--max-num-seqs");
  expectUsage({"compile", kModel, "--max-num-seqs", "0"}, "--max-num-seqs");
  expectUsage({"compile", kModel, "--weights", "zeros"}, "random:SEED");
  expectUsage({"compile", kModel, "--weights", "random:-1"}, "random:SEED");
  expectUsage({"compile", kModel, "--compile-to", "lunch"}, "import, fused, quantized, paged, exec, kernels, artifact");
  expectUsage({"compile", kModel, "--compile-to", "exec", "--json"}, "--compile-to exec prints IR");
  expectUsage({"compile", kModel, "--emit-kernels", "lib.a"}, "for one architecture");
  expectUsage({"compile", kModel, "--emit-kernels", "lib.so", "--cpu-tier", "native"}, "ends in .a");
  expectUsage({"compile", kModel, "--emit-kernels", "lib.a", "--cpu-tier", "x86-64-v3", "--emit-kernels-for", "ios"},
              "arm64 tiers");
  expectUsage({"compile", kModel, "--emit-kernels-for", "ios"}, "needs --emit-kernels");
  expectUsage({"compile", kModel, "--emit-kernels-for", "beos"}, "there are linux and ios");
  expectUsage({"compile", kModel, "--emit-kernels", "lib.a", "--cpu-tier", "arm64", "--compile-to", "exec"},
              "--compile-to exec");
}

TEST_F(Driver, WhatIsNotBuiltIsRefusedByName) {
  expectUsage({"compile", kModel, "--target", "vulkan", "--cpu-tier", "native"}, "go with --target cpu");
  expectUsage({"compile", kModel, "--target", "tpu"}, "--target tpu is not known");
  expectUsage({"compile", kModel, "--gpu-arch", "sm_90"}, "--gpu-arch goes with --target cuda");
  expectUsage({"compile", kModel, "--target", "cuda", "--gpu-arch", "sm_70"}, "sm_70 is not known; there are compute_90a, sm_75, sm_80");
  expectUsage({"compile", kModel, "--cpu-tier", "x86-64-v2"}, "--cpu-tier x86-64-v2 is not known");
  expectUsage({"compile", kModel, "--quantization", "q3_k"}, "--quantization q3_k is not known; there are auto, none, q");
  expectUsage({"compile", kModel, "--dtype", "float64"}, "there are auto, float32, bfloat16, float16");
  expectUsage({"compile", kModel, "--kv-cache-dtype", "fp8"}, "--kv-cache-dtype fp8 is not built yet");
  expectUsage({"compile", kModel, "--activations", "fp8"}, "--activations fp8 is not known; there are int8, bf16, float");
  expectUsage({"compile", "model.gguf"}, "GGUF is not built yet");
  expectUsage({"diff", "a", "--with", "b"}, "diff is not built yet");
}

TEST_F(Driver, ActivationsAreOfEachTargetOrOfAll) {
  std::vector<std::string> both = {"compile",        kModel,   "--target",     "cpu,cuda",
                                   "--quantization", "q8_g32", "--compile-to", "exec"};
  ASSERT_EQ(run(both), 0) << err;
  EXPECT_THAT(out, HasSubstr("for [\"cpu\"] activations \"int8\""));
  EXPECT_THAT(out, HasSubstr("for [\"cuda\"] activations \"float\""));
  both.insert(both.end(), {"--activations", "bf16"});
  ASSERT_EQ(run(both), 0) << err;
  EXPECT_THAT(out, HasSubstr("for [\"cpu\"] activations \"bf16\""));
  EXPECT_THAT(out, HasSubstr("for [\"cuda\"] activations \"bf16\""));
}

TEST_F(Driver, ErrorsAreOneAndSaidOnce) {
  EXPECT_EQ(run({"compile", (folder / "missing").string()}), 1);
  EXPECT_THAT(err, HasSubstr("llmc: "));
  EXPECT_THAT(err, HasSubstr("no such file or folder"));
  EXPECT_EQ(run({"inspect", (folder / "missing.fbs").string()}), 1);
  EXPECT_EQ(run({"verify", kModel + "/config.json"}), 1);
}

TEST_F(Driver, CompilePrintsOneJsonObject) {
  ASSERT_EQ(compile({"--json", "-q"}), 0) << err;
  json result = json::parse(out);
  EXPECT_EQ(result["artifact"], artifact);
  EXPECT_EQ(result["bytes"], fs::file_size(artifact));
  EXPECT_EQ(result["root_hash"].get<std::string>().size(), 64u);
  EXPECT_GT(result["weight_bytes"], 1000000);
  EXPECT_GT(result["seconds"], 0.0);
  EXPECT_GT(result["peak_rss_bytes"], 1 << 20);
  EXPECT_GT(result["peak_data_bytes"], 1 << 20);
  EXPECT_THAT(err, IsEmpty());

  ASSERT_EQ(run({"verify", artifact, "--json"}), 0) << err;
  EXPECT_EQ(json::parse(out)["root_hash"], result["root_hash"]);
  ASSERT_EQ(run({"inspect", artifact, "--json"}), 0) << err;
  EXPECT_EQ(json::parse(out)["root_hash"], result["root_hash"]);
  ASSERT_EQ(run({"inspect", artifact, "--dump-kernels", (folder / "kernels").string()}), 0) << err;
  EXPECT_FALSE(fs::is_empty(folder / "kernels"));
}

TEST_F(Driver, VerifyFindsADamagedWeight) {
  ASSERT_EQ(compile({"-q"}), 0) << err;
  std::fstream file(artifact, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1000, std::ios::end);
  file.put('\x55');
  file.close();
  EXPECT_EQ(run({"inspect", artifact}), 0); // everything but the weights
  EXPECT_EQ(run({"verify", artifact}), 1);
  EXPECT_THAT(err, HasSubstr("damaged"));
}

TEST_F(Driver, RepeatedAndListedTiersAreTheSame) {
  ASSERT_EQ(run({"compile", kModel, "--cpu-tier", "arm64-dotprod,x86-64-v3", "-o", artifact, "--json", "-q"}), 0) << err;
  auto first = json::parse(out)["root_hash"];
  ASSERT_EQ(run({"compile", kModel, "--cpu-tier", "x86-64-v3", "--cpu-tier", "arm64-dotprod", "--cpu-tier", "x86-64-v3",
                 "-o", artifact, "--json", "-q", "-j", "1"}), 0) << err;
  EXPECT_EQ(json::parse(out)["root_hash"], first);
  ASSERT_EQ(run({"inspect", artifact, "--json"}), 0);
  EXPECT_EQ(json::parse(out)["tiers"], json::parse("[\"x86-64-v3\", \"arm64-dotprod\"]"));
}

TEST_F(Driver, ProgressIsPlainLinesOffATerminal) {
  ASSERT_EQ(compile({}), 0);
  EXPECT_THAT(err, HasSubstr("  import\n"));
  EXPECT_THAT(err, HasSubstr("  artifact\n"));
  EXPECT_THAT(err, testing::Not(HasSubstr("\x1b")));
  EXPECT_THAT(out, HasSubstr("root_hash"));
  ASSERT_EQ(compile({"-q"}), 0);
  EXPECT_THAT(err + out, IsEmpty());
}

TEST_F(Driver, CompileToPrintsIr) {
  EXPECT_EQ(run({"compile", kModel, "--compile-to", "fused"}), 0) << err;
  EXPECT_THAT(out, HasSubstr("func.func @step"));
  EXPECT_EQ(run({"compile", kModel, "--compile-to", "exec", "--quantization", "q4_g128"}), 0) << err;
  EXPECT_THAT(out, HasSubstr("exec.dispatch"));
}

TEST_F(Driver, PrintMemoryIsAFormulaAndItsValue) {
  ASSERT_EQ(compile({"--print-memory", "--json", "-q", "--max-num-seqs", "4"}), 0) << err;
  json report = json::parse(out);
  EXPECT_EQ(report["symbols"]["sequences"], 4);
  EXPECT_EQ(report["mapped_bytes"], fs::file_size(artifact));
  EXPECT_GT(report["private_bytes"], report["kv_bytes_per_page"]);
  EXPECT_THAT(report["formula"].get<std::string>(), HasSubstr(" * pages0"));
  ASSERT_EQ(compile({"--print-memory", "-q"}), 0) << err;
  EXPECT_THAT(out, HasSubstr("private bytes = "));
}

TEST_F(Driver, FamiliesAreListed) {
  ASSERT_EQ(run({"families", "--json"}), 0);
  json families = json::parse(out);
  ASSERT_GE(families.size(), 5u);
  EXPECT_EQ(families[0].count("model_types"), 1u);
  ASSERT_EQ(run({"families"}), 0);
  EXPECT_THAT(out, HasSubstr("llama"));
}

TEST_F(Driver, ExportedWeightsCompileToTheSameHash) {
  std::string exported = (folder / "exported").string();
  ASSERT_EQ(run({"export-weights", kModel, "--weights", "random:3", "-o", exported}), 0) << err;
  ASSERT_EQ(compile({"--weights", "random:3", "--json", "-q"}), 0) << err;
  auto made = json::parse(out)["root_hash"];
  ASSERT_EQ(run({"compile", exported, "--cpu-tier", "x86-64-v3", "-o", artifact, "--json", "-q"}), 0) << err;
  EXPECT_EQ(json::parse(out)["root_hash"], made);
}

TEST_F(Driver, SigintRemovesTheFileAndIs130) {
  std::ifstream in(kModel + "/config.json");
  json config = json::parse(in);
  config["vocab_size"] = 4'000'000; // seconds of packing
  std::string model = (folder / "big.json").string();
  std::ofstream(model) << config;
  fs::path target = folder / "target";
  fs::create_directory(target);
  pid_t child = fork();
  if (child == 0) {
    int code = run({"compile", model, "--weights", "random:1", "--quantization", "q4_g32", "--cpu-tier", "x86-64-v3", "-o",
                    (target / "big.fbs").string()});
    _exit(code);
  }
  for (int i = 0; i < 3000 && fs::is_empty(target); ++i) usleep(10000);
  EXPECT_FALSE(fs::is_empty(target));
  kill(child, SIGINT);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_TRUE(fs::is_empty(target));
}

} // namespace
