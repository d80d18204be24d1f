#include "compiler/pipeline/Compile.h"

#include "models/Registry.h"
#include "dialects/exec/Exec.h"
#include "runtime/artifact/artifact.h"
#include "runtime/artifact/verify.h"
#include "runtime/schema/artifact_generated.h"
#include "runtime/base/text.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace llmc;
namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

namespace {

class Recorder final : public Progress {
public:
  void phase(llvm::StringRef name) override { phases.push_back(name.str()); }
  void step(llvm::StringRef item, uint64_t done, uint64_t total) override { EXPECT_LE(done, total) << item.str(); }
  void warn(llvm::StringRef message) override { warnings.push_back(message.str()); }
  std::vector<std::string> phases, warnings;
};

const fs::path kModel = fs::path(LLMC_SOURCE_DIR) / "test/models/stories260k";

class Compile : public testing::Test {
protected:
  Compile() {
    folder = fs::temp_directory_path() / ("llmc-compile-test-" + std::to_string(getpid()));
    fs::remove_all(folder);
    fs::create_directories(folder);
    options.model = kModel.string();
    options.tiers = {"x86-64-v3"};
    options.output = (folder / "out.fbs").string();
  }
  ~Compile() override { fs::remove_all(folder); }

  // The error's text, or nothing.
  std::string run() {
    llvm::raw_string_ostream stream(ir);
    ir.clear();
    progress = Recorder();
    auto compiled = compile(options, progress, stream);
    if (!compiled) return llvm::toString(compiled.takeError());
    result = *compiled;
    return "";
  }
  std::shared_ptr<const llmrt::Artifact> open() {
    auto artifact = llmrt::Artifact::open(options.output, {.verify_weights = true});
    EXPECT_TRUE(artifact.ok()) << artifact.status().message();
    return artifact.ok() ? *artifact : nullptr;
  }
  static std::string contents(const fs::path &path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static void write(const fs::path &path, const std::string &text) { std::ofstream(path, std::ios::binary) << text; }
  std::vector<std::string> files() {
    std::vector<std::string> names;
    for (const auto &entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
    return names;
  }

  fs::path folder;
  CompileOptions options;
  CompileResult result;
  Recorder progress;
  std::string ir;
};

TEST_F(Compile, WritesAnArtifactThatOpens) {
  ASSERT_EQ(run(), "");
  EXPECT_THAT(progress.phases, ElementsAre("import", "fused", "quantized", "paged", "exec", "kernels", "artifact"));
  EXPECT_THAT(files(), ElementsAre("out.fbs"));
  auto artifact = open();
  ASSERT_TRUE(artifact);
  EXPECT_EQ(llmrt::to_hex(artifact->root_hash()), result.rootHash);
  EXPECT_EQ(artifact->bytes().size(), result.bytes);
  const auto &model = *artifact->meta().model();
  EXPECT_EQ(model.family()->str(), "llama");
  EXPECT_EQ(model.vocabulary(), 512u);
  EXPECT_EQ(model.max_positions(), 512u);
  EXPECT_EQ(model.parameters(), 260032u);
  EXPECT_EQ(model.dtype()->str(), "float32");
  EXPECT_EQ(model.kv_cache_dtype()->str(), "f32");
  EXPECT_EQ(model.begin_id(), 1);
  EXPECT_EQ(model.default_max_num_batched_tokens(), 512u);
  const auto &ends = *model.generation()->end_ids();
  EXPECT_THAT(std::vector<int32_t>(ends.begin(), ends.end()), ElementsAre(1, 2));
  EXPECT_TRUE(artifact->meta().tokenizer());
  EXPECT_THAT(artifact->meta().special_tokens_json()->str(), HasSubstr("bos_token"));
  // The tied table is there once: 512 x 64 values of 4 bytes.
  EXPECT_EQ(result.weightBytes, 1050432u);
}

TEST_F(Compile, TheSameBytesFromAnotherFolderWithMoreThreads) {
  options.tiers = {"x86-64-v3", "arm64-dotprod"};
  options.quantization = "q4_g32";
  ASSERT_EQ(run(), "");
  std::string first = contents(options.output);
  fs::copy(kModel, folder / "another name");
  options.model = (folder / "another name").string();
  options.output = (folder / "other.fbs").string();
  options.threads = 3;
  ASSERT_EQ(run(), "");
  EXPECT_EQ(contents(options.output), first);
}

TEST_F(Compile, StopsAtEachPhase) {
  const char *marks[] = {"llm.attention", "gated", "scheme = \"q8_g32\"", "llm.paged_attention", "exec.program @step"};
  options.quantization = "q8_g32";
  for (size_t i = 0; i < std::size(marks); ++i) {
    options.stop = Phase(i);
    ASSERT_EQ(run(), "");
    EXPECT_THAT(ir, HasSubstr(marks[i])) << phaseNames()[i].str();
    EXPECT_EQ(progress.phases.size(), i + 1);
  }
  options.stop = Phase::Kernels;
  ASSERT_EQ(run(), "");
  EXPECT_THAT(ir, HasSubstr("x86-64-v3: "));
  EXPECT_THAT(ir, HasSubstr("attention_f32 rows 0.."));
  EXPECT_THAT(files(), IsEmpty());
}

// ---- a program a target ----------------------------------------------------------------------------------------------

std::vector<std::array<int64_t, 3>> terms(const llmrt::schema::Size *size) {
  std::vector<std::array<int64_t, 3>> terms;
  for (const auto *term : *size->terms()) terms.push_back({term->coefficient(), int64_t(term->a()), int64_t(term->b())});
  return terms;
}

// By their ids: names get a number where another kernel has one.
std::vector<std::string> kernelsOf(const llmrt::Artifact &artifact, const char *target) {
  std::vector<std::string> kernels;
  for (const auto *entry : *llmrt::find_step(artifact.meta(), target)->dispatches()) {
    const auto &id = *artifact.meta().kernels()->Get(entry->op_as_KernelDispatch()->kernel())->id();
    kernels.push_back(llmrt::to_hex({id.data(), id.size()}));
  }
  return kernels;
}

TEST_F(Compile, EachTargetHasTheProgramItWouldHaveAlone) {
  options.quantization = "q4_g32";
  ASSERT_EQ(run(), "");
  auto cpu = open();
  uint64_t weightBytes = result.weightBytes;
  options.vulkan = true;
  ASSERT_EQ(run(), "");
  auto both = open();
  EXPECT_EQ(result.weightBytes, weightBytes); // once
  options.tiers.clear();
  ASSERT_EQ(run(), "");
  auto vulkan = open();
  ASSERT_TRUE(cpu && both && vulkan);
  EXPECT_EQ(result.weightBytes, weightBytes);
  EXPECT_EQ(both->meta().model()->activations()->str(), "int8");
  EXPECT_EQ(vulkan->meta().model()->activations()->str(), "float");
  for (const auto &[alone, target, activations] :
       {std::tuple(cpu, "cpu", "int8"), std::tuple(vulkan, "vulkan", "float")}) {
    ASSERT_EQ(alone->meta().programs()->size(), 1u);
    EXPECT_FALSE(alone->meta().programs()->Get(0)->targets());
    EXPECT_FALSE(alone->meta().programs()->Get(0)->arena());
    const auto *step = llmrt::find_step(both->meta(), target);
    EXPECT_EQ(step->activations()->str(), activations);
    ASSERT_EQ(step->targets()->size(), 1u);
    EXPECT_EQ(step->targets()->Get(0)->str(), target);
    EXPECT_EQ(kernelsOf(*both, target), kernelsOf(*alone, target));
    EXPECT_EQ(terms(step->arena()), terms(alone->meta().arena()));
    EXPECT_EQ(bool(step->candidates()), target == std::string("vulkan"));
  }
  // Code for the CPU comes first.
  auto code = both->segment(0), own = cpu->segment(0);
  EXPECT_TRUE(std::equal(code.begin(), code.end(), own.begin(), own.end()));
}

TEST_F(Compile, ThePhasesOfTwoTargets) {
  options.quantization = "q8_g32";
  options.vulkan = true;
  options.cudaTiers = {"compute_75"};
  options.stop = Phase::Paged;
  ASSERT_EQ(run(), "");
  auto [cpu, gpu] = llvm::StringRef(ir).split("// -----");
  EXPECT_TRUE(cpu.contains("activations \"int8\"") && cpu.contains("llm.paged_attention"));
  EXPECT_TRUE(!gpu.contains("activations \"int8\"") && gpu.contains("llm.paged_attention"));
  options.stop = Phase::Exec;
  ASSERT_EQ(run(), "");
  EXPECT_THAT(ir, HasSubstr("exec.program @step for [\"cpu\"] activations \"int8\" logits"));
  EXPECT_THAT(ir, HasSubstr("exec.program @step.gpu for [\"cuda\", \"vulkan\"] activations \"float\" logits"));
}

TEST_F(Compile, ExportedRandomWeightsGiveTheSameArtifact) {
  options.randomSeed = 7;
  ASSERT_EQ(run(), "");
  std::string made = result.rootHash;
  auto checkpoint = openCheckpoint(options.model, false);
  ASSERT_TRUE(bool(checkpoint));
  mlir::DialectRegistry registry;
  exec::registerDialects(registry);
  mlir::MLIRContext context(registry);
  auto model = models::importModel(context, checkpoint->config);
  ASSERT_TRUE(bool(model));
  fs::path exported = folder / "exported";
  ASSERT_FALSE(bool(exportWeights(*checkpoint, model->tensors, *randomTensorsFor(*model, 7), exported.string())));
  options.randomSeed.reset();
  options.model = exported.string();
  ASSERT_EQ(run(), "");
  EXPECT_EQ(result.rootHash, made);
  options.model = kModel.string();
  ASSERT_EQ(run(), "");
  EXPECT_NE(result.rootHash, made);
}

TEST_F(Compile, AFullDiskLeavesNothingBehind) {
  pid_t child = fork();
  if (child == 0) {
    rlimit limit = {600 << 10, 600 << 10};
    setrlimit(RLIMIT_FSIZE, &limit);
    options.threads = 2;
    std::string problem = run();
    bool named = llvm::StringRef(problem).contains("out.fbs");
    _exit(named ? 17 : 18);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 17) << status;
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(Compile, KernelLibrariesAppearWithTheArtifactOrNotAtAll) {
  options.kernelLibrary = (folder / "kernels.a").string();
  options.output = (folder / "no/such/folder.fbs").string();
  EXPECT_THAT(run(), HasSubstr("no/such"));
  EXPECT_FALSE(fs::exists(options.kernelLibrary));
  EXPECT_FALSE(fs::exists(folder / "kernels.h"));
  options.output = (folder / "out.fbs").string();
  ASSERT_EQ(run(), "");
  EXPECT_EQ(result.kernelLibrary, options.kernelLibrary);
  EXPECT_TRUE(fs::exists(options.kernelLibrary));
  EXPECT_TRUE(fs::exists(folder / "kernels.h"));
}

TEST_F(Compile, AFailedCompileKeepsTheOldFile) {
  write(options.output, "precious");
  fs::path broken = folder / "broken";
  fs::copy(kModel, broken);
  std::string weights = contents(broken / "model.safetensors");
  // A NaN in the last tensor's last value.
  weights.replace(weights.size() - 4, 4, std::string("\x00\x00\xc0\x7f", 4));
  write(broken / "model.safetensors", weights);
  options.model = broken.string();
  EXPECT_THAT(run(), HasSubstr("holds a NaN"));
  EXPECT_EQ(contents(options.output), "precious");
  EXPECT_EQ(files().size(), 2u);
}

TEST_F(Compile, ErrorsSayWhatToDo) {
  options.output = (folder / "no/such/folder/x.fbs").string();
  EXPECT_THAT(run(), HasSubstr("no/such/folder/x.fbs"));
  options.model = (folder / "nothing").string();
  EXPECT_THAT(run(), HasSubstr("no such file or folder"));
}

TEST_F(Compile, ChatTemplatesThatDoNotParseAreLeftOut) {
  fs::path model = folder / "chat";
  fs::copy(kModel, model);
  write(model / "chat_template.jinja", "{% for m in messages %}{{ m.content }}");
  options.model = model.string();
  ASSERT_EQ(run(), "");
  ASSERT_EQ(progress.warnings.size(), 1u);
  EXPECT_THAT(progress.warnings[0], HasSubstr("the chat template \"default\" is left out"));
  EXPECT_EQ(open()->meta().chat_templates()->size(), 0u);
  write(model / "chat_template.jinja", "{% for m in messages %}{{ m.content }}{% endfor %}");
  ASSERT_EQ(run(), "");
  EXPECT_THAT(progress.warnings, IsEmpty());
  ASSERT_EQ(open()->meta().chat_templates()->size(), 1u);
  EXPECT_EQ(open()->meta().chat_templates()->Get(0)->name()->str(), "default");
}

TEST_F(Compile, WithoutATokenizerItWorksWithIds) {
  fs::path model = folder / "bare";
  fs::create_directory(model);
  fs::copy(kModel / "config.json", model);
  fs::copy(kModel / "model.safetensors", model);
  options.model = model.string();
  ASSERT_EQ(run(), "");
  EXPECT_THAT(progress.warnings, ElementsAre(HasSubstr("token ids only")));
  auto artifact = open();
  ASSERT_TRUE(artifact);
  EXPECT_FALSE(artifact->meta().tokenizer());
  const auto &ends = *artifact->meta().model()->generation()->end_ids();
  EXPECT_THAT(std::vector<int32_t>(ends.begin(), ends.end()), ElementsAre(2)); // the config's
}

} // namespace
