// Every rule about programs, dispatches and kernels, broken once: by the artifact's data, and by the kernel table.
#include "runtime/artifact/artifact.h"
#include "runtime/artifact/testing/fake_model.h"
#include "runtime/artifact/verify.h"

#include <gtest/gtest.h>

#include <functional>

namespace llmrt {
namespace {

using namespace testing;

struct Broken {
  const char *name;
  std::function<void(ArtifactSpec &)> damage;
  const char *message;
};

Status open(const ArtifactSpec &spec) { return Artifact::open_bytes(build_artifact(spec), "x").status(); }

void expect_refused(std::span<const Broken> cases, const ArtifactSpec &whole = fake_model()) {
  for (const Broken &broken : cases) {
    ArtifactSpec spec = whole;
    broken.damage(spec);
    Status status = open(spec);
    EXPECT_FALSE(status.ok()) << broken.name;
    EXPECT_NE(status.message().find(broken.message), std::string::npos) << broken.name << ": " << status.message();
  }
}

DispatchSpec &dispatch(ArtifactSpec &spec, size_t index) { return spec.programs[0].dispatches[index]; }

TEST(VerifyProgram, ProgramsAndKernels) {
  const Broken cases[] = {
      {"no step", [](auto &s) { s.programs[0].name = "other"; }, "no program named \"step\""},
      {"twice", [](auto &s) { s.programs.push_back(s.programs[0]); }, "name is there twice"},
      {"too many", [](auto &s) { s.programs.resize(65, s.programs[0]); }, "more than 64 programs"},
      {"logits", [](auto &s) { s.programs[0].logits = 1; }, "logits are a buffer that does not exist"},
      {"logits' type", [](auto &s) { s.buffers[0].element = "f16"; }, "logits are not f32"},
      {"logits' size", [](auto &s) { s.model.vocabulary = 9; }, "room for a row"},
      {"logits' place",
       [](auto &s) {
         s.buffers.push_back({"odd", "f32", {{62}}, {{32, kRows}}});
         s.programs[0].logits = 1;
       },
       "not aligned"},
      {"hidden states", [](auto &s) { s.programs[0].hidden = 1, s.programs[0].hidden_width = 4; },
       "hidden states are a buffer that does not exist"},
      {"hidden states below", [](auto &s) { s.programs[0].hidden = -2, s.programs[0].hidden_width = 4; },
       "hidden states are a buffer that does not exist"},
      {"hidden states' width", [](auto &s) { s.programs[0].hidden = 0; }, "or have no columns"},
      {"hidden states' size",
       [](auto &s) {
         s.arena.push_back({64, kHiddenRows});
         s.buffers.push_back({"hidden", "f32", {{64}}, {{12, kHiddenRows}}});
         s.programs[0].hidden = 1, s.programs[0].hidden_width = 4;
       },
       "room for a row of 4 each"},
      {"hidden states' rows",
       [](auto &s) {
         s.buffers.push_back({"hidden", "f32", {{64}}, {{16, kRows}}});
         s.programs[0].hidden = 1, s.programs[0].hidden_width = 4;
       },
       "room for a row of 4 each"},
      {"id", [](auto &s) { s.kernels[0].id.pop_back(); }, "id does not have 16 bytes"},
      {"call", [](auto &s) { dispatch(s, 0).type = 3; }, "calls and collectives"},
      {"collective", [](auto &s) { dispatch(s, 0).type = 4; }, "calls and collectives"},
      {"nothing", [](auto &s) { dispatch(s, 0).type = 0; }, "unknown kind"},
      {"kernel", [](auto &s) { dispatch(s, 1).kernel = 2; }, "dispatch 1: names a kernel that does not exist"},
      {"kernel not in the tier", [](auto &s) { s.kernels[0].id[15] = 9; }, "(store, fake): the tier does not have"},
      {"kernel not in one tier",
       [](auto &s) {
         CodeSpec code = fake_code(this_architecture());
         code.variants.resize(1);
         s.segments.push_back({"cpu-b", 1, build_code(code), "second", "cpu", {}, {}, true, 0});
       },
       "(score, second): the tier does not have"},
  };
  expect_refused(cases);
}

TEST(VerifyProgram, OperandsAndScalars) {
  const Broken cases[] = {
      {"too few operands", [](auto &s) { dispatch(s, 0).operands.pop_back(); }, "another number of operands"},
      {"too many operands", [](auto &s) { dispatch(s, 0).operands.resize(65); }, "too many operands"},
      {"too few scalars", [](auto &s) { dispatch(s, 0).scalars.pop_back(); }, "another number of scalars"},
      {"no scalars", [](auto &s) { dispatch(s, 0).scalars.clear(); }, "another number of scalars"},
      {"operand kind", [](auto &s) { dispatch(s, 0).operands[0].kind = 4; }, "operand 0: is of an unknown kind"},
      {"buffer", [](auto &s) { dispatch(s, 1).operands[6].index = 1; }, "buffer that does not exist"},
      {"weight", [](auto &s) { dispatch(s, 1).operands[5].index = 1; }, "weight that does not exist"},
      {"input", [](auto &s) { dispatch(s, 0).operands[0].index = 7; }, "input that does not exist"},
      {"large input", [](auto &s) { dispatch(s, 0).operands[0].index = 256; }, "input that does not exist"},
      {"group", [](auto &s) { dispatch(s, 0).operands[3].group = 1; }, "cache group that does not exist"},
      {"cache", [](auto &s) { dispatch(s, 0).operands[4].index = 1; }, "cache group that does not exist"},
      {"negative offset", [](auto &s) { dispatch(s, 0).operands[0].offset = {{-4}}; }, "negative coefficient"},
      {"offset's symbol", [](auto &s) { dispatch(s, 0).operands[0].offset = {{4, kPages1}}; }, "names a symbol"},
      {"scalar's symbol", [](auto &s) { dispatch(s, 0).scalars[1].symbol = kPages1; }, "scalar 1: names a symbol"},
      {"scalar negative", [](auto &s) { dispatch(s, 0).scalars[1].value = -1; }, "scalar 1: is out of range"},
      {"scalar large", [](auto &s) { dispatch(s, 0).scalars[1].value = INT64_MAX; }, "scalar 1: is out of range"},
  };
  expect_refused(cases);
}

TEST(VerifyProgram, Bounds) {
  const Broken cases[] = {
      {"offset", [](auto &s) { dispatch(s, 0).operands[0].offset = {{4}}; }, "operand 0: the kernel reaches past"},
      {"offset in a step's size", [](auto &s) { dispatch(s, 1).operands[6].offset = {{32, kRows}}; },
       "operand 6: the kernel reaches past"},
      {"more rows", [](auto &s) { dispatch(s, 0).scalars[0].value = 2; }, "operand 0: the kernel reaches past"},
      {"rows of another symbol", [](auto &s) { dispatch(s, 1).scalars[0].symbol = kTokens; },
       "operand 0: the kernel reaches past"},
      {"constant rows", [](auto &s) { dispatch(s, 0).scalars[0].symbol = kOne; }, "operand 0: the kernel reaches past"},
      {"vocabulary", [](auto &s) { dispatch(s, 1).scalars[1].value = 9; }, "operand 5: the kernel reaches past"},
      {"sequences", [](auto &s) { dispatch(s, 0).scalars[1].value = 2; }, "operand 3: the kernel reaches past"},
      {"pages", [](auto &s) { dispatch(s, 0).scalars[3].value = 2; }, "operand 4: the kernel reaches past"},
      {"page bytes", [](auto &s) { s.groups[0].bytes_per_page_layer = 63; }, "operand 4: the kernel reaches past"},
      {"cache offset", [](auto &s) { dispatch(s, 0).operands[4].offset = {{64, kPages0}}; },
       "operand 4: the kernel reaches past"},
      {"small weight", [](auto &s) { s.weights[0].bytes = 28; }, "operand 5: the kernel reaches past"},
      {"small buffer",
       [](auto &s) {
         s.buffers.push_back({"small", "f32", {}, {{28, kRows}}});
         dispatch(s, 1).operands[6].index = 1;
       },
       "operand 6: the kernel reaches past"},
      {"overflow", [](auto &s) { dispatch(s, 1).scalars[1].value = int64_t(1) << 40,
                                 dispatch(s, 1).scalars[0].value = int64_t(1) << 40; }, "reaches past its end"},
      {"constraint", [](auto &s) { dispatch(s, 1).scalars[1].value = 0; }, "do not meet a constraint"},
  };
  expect_refused(cases);
}

TEST(VerifyProgram, AlignmentAndAccess) {
  const Broken cases[] = {
      {"operand offset",
       [](auto &s) {
         s.groups[0].layers = 2;
         dispatch(s, 0).operands[4].offset = {{32}};
       },
       "operand 4: is not aligned"},
      {"pool rows",
       [](auto &s) {
         s.groups[0].layers = 3;
         dispatch(s, 0).operands[4].offset = {{32, kPages0}};
       },
       "operand 4: is not aligned"},
      {"buffer's place",
       [](auto &s) {
         s.buffers.push_back({"odd", "f32", {{8}}, {{32, kRows}}});
         dispatch(s, 1).operands[6].index = 1;
       },
       "operand 6: is not aligned"},
      {"write to a weight", [](auto &s) { dispatch(s, 1).operands[6] = {1, 0, 0, {}}; }, "may not be written"},
      {"write to an input", [](auto &s) { dispatch(s, 1).operands[6] = {2, 0, 0, {}}; }, "may not be written"},
  };
  expect_refused(cases);
}

TEST(VerifyProgram, IndexBounds) {
  const Broken cases[] = {
      // Each array of indices in the place of one with a smaller maximum.
      {"rows for sequences", [](auto &s) { dispatch(s, 1).operands[2] = {2, 0, 0, {}}; }, "operand 2: its values"},
      {"positions for sequences", [](auto &s) { dispatch(s, 0).operands[2] = {2, 1, 0, {}}; }, "operand 2: its values"},
      {"sequences for positions", [](auto &s) { dispatch(s, 0).operands[1] = {2, 2, 0, {}}; }, "operand 1: its values"},
      {"page table of a larger group",
       [](auto &s) {
         s.groups.push_back(s.groups[0]);
         dispatch(s, 0).operands[3].group = 1;
       },
       "operand 3: its values"},
      {"larger pages", [](auto &s) { s.groups[0].page_tokens = 32; }, "operand 1: its values"},
      {"a buffer as indices",
       [](auto &s) {
         s.arena = {{64}, {4, kTokens}, {32, kRows}};
         s.buffers[0].offset = {{64}, {4, kTokens}};
         s.buffers.push_back({"ids", "i32", {{64}}, {{4, kTokens}}});
         dispatch(s, 0).operands[2] = {0, 1, 0, {}};
       },
       "operand 2: its values"},
  };
  expect_refused(cases);
}

TEST(VerifyProgram, BoundedPositionsHelp) {
  // A kernel with a table of 64 positions: their number bounds them only where it is said to.
  ArtifactSpec spec = fake_model();
  CodeSpec code = fake_code(this_architecture());
  code.variants[0].operands[1].maximum = {{64}};
  spec.segments[1].bytes = build_code(code);
  EXPECT_FALSE(open(spec).ok());
  spec.model.positions_are_bounded = true;
  Status status = open(spec);
  EXPECT_TRUE(status.ok()) << status.message();
  spec.model.max_positions = 65;
  EXPECT_FALSE(open(spec).ok());
}

TEST(VerifyProgram, ExtentsThatShrinkAreComparedSafely) {
  // An extent that falls as the step grows must fit at its largest, which is not at the limits.
  ArtifactSpec spec = fake_model();
  CodeSpec code = fake_code(this_architecture());
  code.variants[0].operands[4].extent = {{64, {3, -1, -1}}, {-64, {0, -1, -1}}};
  spec.segments[1].bytes = build_code(code);
  EXPECT_TRUE(open(spec).ok());
  dispatch(spec, 0).operands[4].offset = {{64, kTokens}};
  EXPECT_FALSE(open(spec).ok());
}

TEST(VerifyProgram, Copies) {
  auto with_copy = [](std::vector<OperandSpec> operands, SizeSpec bytes) {
    ArtifactSpec spec = fake_model();
    DispatchSpec copy;
    copy.type = 2;
    copy.operands = std::move(operands);
    copy.bytes = std::move(bytes);
    spec.programs[0].dispatches.push_back(copy);
    return open(spec).message();
  };
  const OperandSpec buffer{0, 0, 0, {}}, weight{1, 0, 0, {}}, cache{3, 0, 0, {}}, input{2, 0, 0, {}};
  EXPECT_EQ(with_copy({weight, buffer}, {{32, kRows}}), "x: program 0 (step), dispatch 2: reaches past the end of its "
                                                        "source or destination");
  EXPECT_EQ(with_copy({cache, buffer}, {}), "");
  EXPECT_EQ(with_copy({buffer, cache}, {}), "");
  EXPECT_NE(with_copy({buffer, cache}, {{1, kRows}}).find("reaches past"), std::string::npos);
  EXPECT_EQ(with_copy({buffer, buffer}, {{32, kRows}}), "");
  EXPECT_NE(with_copy({buffer, {0, 0, 0, {{4}}}}, {{32, kRows}}).find("reaches past"), std::string::npos);
  EXPECT_NE(with_copy({buffer, weight}, {}).find("may not be written"), std::string::npos);
  EXPECT_NE(with_copy({buffer, input}, {}).find("may not be written"), std::string::npos);
  EXPECT_NE(with_copy({buffer, buffer}, {{-1}}).find("negative"), std::string::npos);
  EXPECT_NE(with_copy({buffer}, {}).find("lacks an operand"), std::string::npos);
  EXPECT_NE(with_copy({}, {}).find("lacks an operand"), std::string::npos);
}

TEST(VerifyProgram, HiddenStates) {
  ArtifactSpec spec = fake_model();
  spec.arena.push_back({16, kHiddenRows});
  spec.buffers.push_back({"hidden", "f32", {{64}, {32, kRows}}, {{16, kHiddenRows}}});
  spec.programs[0].hidden = 1;
  spec.programs[0].hidden_width = 4;
  Status status = open(spec);
  EXPECT_TRUE(status.ok()) << status.message();
}

// The best four logits of a row, by a kernel that CUDA's code has; what it computes does not matter here.
ArtifactSpec with_candidates() {
  ArtifactSpec spec = fake_model();
  add_fake_cuda(spec);
  spec.arena.push_back({32, kRows});
  spec.buffers.push_back({"candidates", "i32", {{64}, {32, kRows}}, {{32, kRows}}});
  CandidatesSpec candidates{{spec.programs[0].dispatches[1]}, 1, 4};
  candidates.dispatches[0].operands[6].index = 1;
  spec.programs[0].candidates = candidates;
  return spec;
}

TEST(VerifyProgram, Candidates) {
  Status status = open(with_candidates());
  EXPECT_TRUE(status.ok()) << status.message();
  const std::pair<std::function<void(CandidatesSpec &, ArtifactSpec &)>, const char *> cases[] = {
      {[](auto &c, auto &) { c.count = 0; }, "none, or too many of a row"},
      {[](auto &c, auto &) { c.count = 9; }, "none, or too many of a row"}, // of 8 tokens
      {[](auto &c, auto &) { c.count = 4097; }, "none, or too many of a row"},
      {[](auto &c, auto &) { c.count = 5; }, "room for a row of 10 each"},
      {[](auto &c, auto &) { c.buffer = 2; }, "candidates are a buffer that does not exist"},
      {[](auto &c, auto &) { c.buffer = 0; }, "candidates are not i32"},
      {[](auto &c, auto &) { c.dispatches[0].type = 2; }, "dispatch 0: is not of a kernel"},
      {[](auto &c, auto &) { c.dispatches[0].kernel = 2; }, "names a kernel that does not exist"},
      {[](auto &c, auto &) { c.dispatches[0].operands[6].offset = {{64}}; }, "reaches past its end"},
      {[](auto &, auto &s) { s.buffers[1].bytes = {{32, kTokens}}; }, "candidates"},
  };
  for (const auto &[damage, message] : cases) {
    ArtifactSpec spec = with_candidates();
    damage(*spec.programs[0].candidates, spec);
    status = open(spec);
    EXPECT_FALSE(status.ok()) << message;
    EXPECT_NE(status.message().find(message), std::string::npos) << status.message();
  }
}

// A CPU's tier need not have the kernels that make them; any other must.
TEST(VerifyProgram, CandidatesAreNotOfACpu) {
  ArtifactSpec spec = with_candidates();
  VariantSpec best = fake_code(LLMRT_ARCH_PTX).variants.back();
  best.id = {9};
  best.first_rows = 0;
  best.code = fake_ptx("score");
  spec.kernels.push_back({"best", {best.id.begin(), best.id.end()}});
  spec.programs[0].candidates->dispatches[0].kernel = 2;
  EXPECT_NE(open(spec).message().find("(best, compute_75): the tier does not have"), std::string::npos)
      << open(spec).message();
  spec.segments.resize(3); // without the cubins
  CodeSpec code = fake_code(LLMRT_ARCH_PTX);
  code.variants.push_back(best);
  for (VariantSpec &variant : code.variants) variant.code = fake_ptx("score");
  spec.segments[2].bytes = build_code(code);
  Status status = open(spec);
  EXPECT_TRUE(status.ok()) << status.message();
}

// ---- a step a target -------------------------------------------------------------------------------------------------

TEST(VerifyProgram, EachTargetHasItsStep) {
  auto artifact = Artifact::open_bytes(build_artifact(fake_model_with_two_steps()), "x");
  ASSERT_TRUE(artifact) << artifact.status().message();
  const schema::Artifact &meta = (*artifact)->meta();
  EXPECT_EQ(find_step(meta, "cpu"), meta.programs()->Get(0));
  EXPECT_EQ(find_step(meta, "cuda"), meta.programs()->Get(1));
  EXPECT_EQ(find_step(meta, "vulkan"), meta.programs()->Get(1));
  EXPECT_EQ(find_step(meta, "npu"), nullptr);
  EXPECT_EQ(arena_of(meta, "cpu"), meta.programs()->Get(0)->arena());
  EXPECT_EQ(arena_of(meta, "npu"), meta.arena());
  auto one = Artifact::open_bytes(build_artifact(fake_model()), "x");
  ASSERT_TRUE(one) << one.status().message();
  EXPECT_EQ(find_step((*one)->meta(), "npu"), (*one)->meta().programs()->Get(0)) << "which is for all";
  EXPECT_EQ(arena_of((*one)->meta(), "cpu"), (*one)->meta().arena());
}

TEST(VerifyProgram, StepsAndTheirTargets) {
  const Broken cases[] = {
      {"both for all", [](auto &s) { s.programs[0].targets = s.programs[1].targets = {}; }, "there twice for a target"},
      {"one for all", [](auto &s) { s.programs[1].targets = {}; }, "program 1 (step): its name is there twice"},
      {"the first for all", [](auto &s) { s.programs[0].targets = {}; }, "program 1 (step): its name is there twice"},
      {"a target twice", [](auto &s) { s.programs[1].targets = {"vulkan", "cpu"}; }, "there twice for a target"},
      {"many targets", [](auto &s) { s.programs[1].targets.resize(17, "cuda"); }, "more than 16 targets"},
      {"none for CUDA", [](auto &s) { s.programs[1].targets = {"vulkan"}; }, "no program named \"step\" for cuda"},
      {"none for the CPU", [](auto &s) { s.programs.erase(s.programs.begin()); }, "no program named \"step\" for cpu"},
      {"no step", [](auto &s) { s.programs[0].name = s.programs[1].name = "other"; }, "no program named \"step\""},
  };
  expect_refused(cases, fake_model_with_two_steps());
}

TEST(VerifyProgram, BuffersLieInTheirProgramsArena) {
  const std::function<void(ArtifactSpec &)> cases[] = {
      [](auto &s) { s.programs[1].arena = s.programs[0].arena; },
      [](auto &s) { s.programs[0].logits = 1; }, // the GPUs'
      [](auto &s) { s.programs[0].dispatches[1].operands[6].index = 1; },
      [](auto &s) {
        DispatchSpec copy;
        copy.type = 2;
        copy.operands = {{0, 0, 0, {}}, {0, 1, 0, {}}};
        s.programs[0].dispatches.push_back(copy);
      },
      [](auto &s) {
        s.buffers.push_back({"hidden", "f32", {{64}, {32, kRows}}, {{16, kHiddenRows}}});
        s.arena.push_back({16, kHiddenRows});
        s.programs[0].hidden = 2, s.programs[0].hidden_width = 4;
      },
  };
  for (const auto &damage : cases) {
    ArtifactSpec spec = fake_model_with_two_steps();
    damage(spec);
    EXPECT_NE(open(spec).message().find("a buffer that it names does not lie in its arena"), std::string::npos)
        << open(spec).message();
  }
  ArtifactSpec spec = fake_model_with_two_steps();
  spec.programs[1].arena = SizeSpec{{-1}};
  EXPECT_NE(open(spec).message().find("its arena's size: has a negative coefficient"), std::string::npos)
      << open(spec).message();
}

// A target's code need not have the kernels of another's step.
TEST(VerifyProgram, KernelsAreOfTheirTargets) {
  ArtifactSpec spec = fake_model_with_two_steps();
  spec.segments.resize(3); // PTX alone
  VariantSpec apart = fake_code(LLMRT_ARCH_PTX).variants.back();
  apart.id = {9};
  apart.first_rows = 0;
  spec.kernels.push_back({"apart", {apart.id.begin(), apart.id.end()}});
  spec.programs[1].dispatches[1].kernel = 2;
  EXPECT_NE(open(spec).message().find("(apart, compute_75): the tier does not have"), std::string::npos)
      << open(spec).message();
  CodeSpec code = fake_code(LLMRT_ARCH_PTX);
  code.variants = {code.variants[0], apart}; // not the CPU's score
  for (VariantSpec &variant : code.variants) variant.code = fake_ptx("score");
  spec.segments[2].bytes = build_code(code);
  Status status = open(spec);
  EXPECT_TRUE(status.ok()) << status.message();
}

} // namespace
} // namespace llmrt
