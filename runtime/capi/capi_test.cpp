// The C API over an artifact of two hand-made kernels: every logit can be told beforehand.
#include "runtime/include/llmrt.h"

#include "runtime/artifact/testing/fake_model.h"
#include "runtime/base/os.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <gtest/gtest.h>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace llmrt::testing;

class CApi : public ::testing::Test {
protected:
  void SetUp() override {
    path = ::testing::TempDir() + "capi_test_" + ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".fbs";
    auto bytes = build_artifact(fake_model());
    auto file = llmrt::os::AtomicFile::create(path);
    ASSERT_TRUE(file.ok() && file->write(bytes).ok() && file->commit().ok());
    error.size = sizeof error;
  }
  void TearDown() override {
    llmrt_close(model);
    std::remove(path.c_str());
  }
  // Over another artifact than the one that is there from the start.
  void use(const ArtifactSpec &spec) {
    auto file = llmrt::os::AtomicFile::create(path);
    ASSERT_TRUE(file.ok() && file->write(build_artifact(spec)).ok() && file->commit().ok());
  }
  llmrt_code open(bool manual = false, bool embeddings = false) {
    llmrt_open_options options{};
    options.size = sizeof options;
    options.threads = 1;
    options.manual_steps = manual;
    options.embeddings = embeddings;
    return llmrt_open(path.data(), path.size(), &options, &model, &error);
  }
  // The greedy ids after a prompt, told from the model's rule.
  static std::vector<int32_t> expected(std::vector<int32_t> ids, int count) {
    std::vector<int32_t> out;
    for (int i = 0; i < count; ++i) {
      auto row = fake_logits(ids);
      int32_t best = 0;
      for (int32_t j = 1; j < 8; ++j)
        best = row[static_cast<size_t>(j)] > row[static_cast<size_t>(best)] ? j : best;
      ids.push_back(best);
      out.push_back(best);
    }
    return out;
  }
  std::vector<int32_t> run(const std::vector<int32_t> &prompt, int tokens, bool manual = false) {
    llmrt_sampling greedy{};
    greedy.size = sizeof greedy;
    EXPECT_EQ(llmrt_get_default_sampling(model, &greedy, &error), LLMRT_OK);
    greedy.temperature = 0;
    llmrt_request_options options{};
    options.size = sizeof options;
    options.prompt = prompt.data();
    options.prompt_count = prompt.size();
    options.sampling = &greedy;
    options.max_tokens = tokens;
    options.ignore_eos = 1;
    llmrt_request *request = nullptr;
    EXPECT_EQ(llmrt_submit(model, &options, &request, &error), LLMRT_OK) << error.message;
    std::vector<int32_t> out;
    llmrt_event event{};
    event.size = sizeof event;
    for (;;) {
      int32_t worked = 0;
      if (manual) {
        EXPECT_EQ(llmrt_step(model, &worked, &error), LLMRT_OK);
      }
      EXPECT_EQ(llmrt_poll(request, manual ? 0 : -1, &event, &error), LLMRT_OK);
      if (event.type == LLMRT_EVENT_TOKEN)
        out.push_back(event.token);
      if (event.type == LLMRT_EVENT_FINISHED)
        break;
    }
    EXPECT_EQ(event.finish_reason, LLMRT_FINISH_LENGTH);
    EXPECT_EQ(event.new_tokens, tokens);
    EXPECT_EQ(event.prompt_tokens, static_cast<int64_t>(prompt.size()));
    llmrt_release(request);
    return out;
  }

  std::string path;
  llmrt_model *model = nullptr;
  llmrt_error error{};
};

TEST_F(CApi, ErrorsAreToldInWords) {
  EXPECT_EQ(llmrt_open("/nothing", 8, nullptr, &model, &error), LLMRT_NOT_FOUND);
  EXPECT_EQ(error.code, LLMRT_NOT_FOUND);
  EXPECT_NE(std::string(error.message).find("/nothing"), std::string::npos);
  EXPECT_EQ(model, nullptr);
  EXPECT_EQ(llmrt_open("/nothing", 8, nullptr, &model, nullptr), LLMRT_NOT_FOUND);
  EXPECT_EQ(llmrt_open(nullptr, 0, nullptr, &model, &error), LLMRT_INVALID_ARGUMENT);
  llmrt_error tiny{};
  tiny.size = offsetof(llmrt_error, message) + 4;
  llmrt_open("/nothing", 8, nullptr, &model, &tiny);
  EXPECT_EQ(std::strlen(tiny.message), 3u);
  EXPECT_EQ(tiny.message[4], '\0');
}

TEST_F(CApi, SaysWhatTheModelIs) {
  ASSERT_EQ(open(), LLMRT_OK) << error.message;
  llmrt_model_info info{};
  EXPECT_EQ(llmrt_get_model_info(model, &info, &error), LLMRT_INVALID_ARGUMENT) << "its size is not set";
  info.size = sizeof info;
  ASSERT_EQ(llmrt_get_model_info(model, &info, &error), LLMRT_OK);
  EXPECT_EQ(info.vocabulary, 8);
  EXPECT_EQ(info.has_tokenizer, 0);
  EXPECT_EQ(std::strlen(info.root_hash), 64u);
}

TEST_F(CApi, AnOlderProgramsShorterStructIsFilledAsFarAsItGoes) {
  ASSERT_EQ(open(), LLMRT_OK) << error.message;
  llmrt_model_info info{};
  info.size = offsetof(llmrt_model_info, begin_id);
  info.begin_id = 77;
  ASSERT_EQ(llmrt_get_model_info(model, &info, &error), LLMRT_OK);
  EXPECT_EQ(info.vocabulary, 8);
  EXPECT_EQ(info.begin_id, 77);
  EXPECT_EQ(info.size, offsetof(llmrt_model_info, begin_id));
}

TEST_F(CApi, GeneratesWithItsOwnThread) {
  ASSERT_EQ(open(), LLMRT_OK) << error.message;
  EXPECT_EQ(run({1, 5, 3}, 20), expected({1, 5, 3}, 20));
  int32_t worked = 0;
  EXPECT_EQ(llmrt_step(model, &worked, &error), LLMRT_UNSUPPORTED);
}

TEST_F(CApi, GeneratesStepByStep) {
  ASSERT_EQ(open(true), LLMRT_OK) << error.message;
  EXPECT_EQ(run({1, 5, 3}, 20, true), expected({1, 5, 3}, 20));
  int32_t worked = 1;
  EXPECT_EQ(llmrt_step(model, &worked, &error), LLMRT_OK);
  EXPECT_EQ(worked, 0);
}

TEST_F(CApi, ManyThreadsAtOnce) {
  ASSERT_EQ(open(), LLMRT_OK) << error.message;
  std::vector<std::thread> threads;
  for (int32_t i = 0; i < 8; ++i)
    threads.emplace_back([this, i] { EXPECT_EQ(run({1, i}, 30), expected({1, i}, 30)); });
  for (std::thread &thread : threads)
    thread.join();
}

TEST_F(CApi, LogitsAreTheWholeRowsWhateverIsCached) {
  for (bool manual : {false, true}) {
    ASSERT_EQ(open(manual), LLMRT_OK) << error.message;
    std::vector<int32_t> ids;
    for (int32_t i = 0; i < 40; ++i)
      ids.push_back((i * 5 + 1) % 8);
    for (int repeat = 0; repeat < 2; ++repeat) {
      std::vector<float> logits(ids.size() * 8);
      ASSERT_EQ(llmrt_logits(model, ids.data(), ids.size(), logits.data(), logits.size(), &error), LLMRT_OK)
          << error.message;
      for (size_t i = 0; i < ids.size(); ++i) {
        auto row = fake_logits(std::span(ids).first(i + 1));
        for (size_t j = 0; j < 8; ++j)
          EXPECT_EQ(logits[i * 8 + j], row[j]) << i << " " << j;
      }
    }
    EXPECT_EQ(llmrt_logits(model, ids.data(), ids.size(), nullptr, 0, &error), LLMRT_INVALID_ARGUMENT);
    float one;
    EXPECT_EQ(llmrt_logits(model, ids.data(), ids.size(), &one, 1, &error), LLMRT_TOO_SMALL);
    llmrt_close(model);
    model = nullptr;
  }
}

TEST_F(CApi, EmbeddingsArePooledHiddenStates) {
  use(fake_model_with_hidden());
  const std::vector<int32_t> ids = {1, 5, 3};
  const auto first = fake_logits(std::span(ids).first(1)), second = fake_logits(std::span(ids).first(2)),
             last = fake_logits(ids);
  for (bool manual : {false, true}) {
    ASSERT_EQ(open(manual, true), LLMRT_OK) << error.message;
    llmrt_model_info info{};
    info.size = sizeof info;
    ASSERT_EQ(llmrt_get_model_info(model, &info, &error), LLMRT_OK);
    ASSERT_EQ(info.embedding_size, 8);
    float out[8];
    auto embed = [&](llmrt_pooling pooling, int32_t normalize) {
      EXPECT_EQ(llmrt_embed(model, ids.data(), ids.size(), pooling, normalize, out, 8, &error), LLMRT_OK)
          << error.message;
    };
    embed(LLMRT_POOL_LAST, 0);
    EXPECT_TRUE(std::equal(out, out + 8, last.begin()));
    embed(LLMRT_POOL_CLS, 0);
    EXPECT_TRUE(std::equal(out, out + 8, first.begin()));
    embed(LLMRT_POOL_MEAN, 0);
    for (size_t j = 0; j < 8; ++j)
      EXPECT_FLOAT_EQ(out[j], (first[j] + second[j] + last[j]) / 3);
    embed(LLMRT_POOL_LAST, 1);
    float length = 0;
    for (float value : out)
      length += value * value;
    EXPECT_NEAR(length, 1, 1e-6);
    EXPECT_EQ(llmrt_embed(model, ids.data(), 3, LLMRT_POOL_LAST, 0, out, 7, &error), LLMRT_TOO_SMALL);
    EXPECT_EQ(llmrt_embed(model, ids.data(), 0, LLMRT_POOL_LAST, 0, out, 8, &error), LLMRT_INVALID_ARGUMENT);
    EXPECT_EQ(llmrt_embed(model, ids.data(), 3, 9, 0, out, 8, &error), LLMRT_INVALID_ARGUMENT);
    llmrt_close(model);
    model = nullptr;
  }
  ASSERT_EQ(open(), LLMRT_OK) << error.message;
  float out[8];
  EXPECT_EQ(llmrt_embed(model, ids.data(), 3, LLMRT_POOL_LAST, 0, out, 8, &error), LLMRT_UNSUPPORTED)
      << "not opened for embeddings";
}

TEST_F(CApi, CancelledRequestsFinishAndReleasedOnesAreForgotten) {
  ASSERT_EQ(open(true), LLMRT_OK) << error.message;
  const int32_t prompt[] = {1, 2};
  llmrt_request_options options{};
  options.size = sizeof options;
  options.prompt = prompt;
  options.prompt_count = 2;
  options.max_tokens = 40;
  options.ignore_eos = 1;
  llmrt_request *first = nullptr, *second = nullptr;
  ASSERT_EQ(llmrt_submit(model, &options, &first, &error), LLMRT_OK) << error.message;
  ASSERT_EQ(llmrt_submit(model, &options, &second, &error), LLMRT_OK) << error.message;
  int32_t worked;
  llmrt_step(model, &worked, &error);
  llmrt_cancel(first);
  llmrt_release(second);
  for (int i = 0; i < 3; ++i)
    llmrt_step(model, &worked, &error);
  EXPECT_EQ(worked, 0);
  llmrt_event event{};
  event.size = sizeof event;
  do {
    ASSERT_EQ(llmrt_poll(first, 0, &event, &error), LLMRT_OK);
    ASSERT_NE(event.type, LLMRT_EVENT_NONE);
  } while (event.type != LLMRT_EVENT_FINISHED);
  EXPECT_EQ(event.finish_reason, LLMRT_FINISH_CANCELLED);
  llmrt_release(first);
}

TEST_F(CApi, WrongRequestsAreRefused) {
  ASSERT_EQ(open(), LLMRT_OK) << error.message;
  llmrt_request *request = nullptr;
  llmrt_request_options options{};
  EXPECT_EQ(llmrt_submit(model, &options, &request, &error), LLMRT_INVALID_ARGUMENT) << "no size";
  options.size = sizeof options;
  EXPECT_EQ(llmrt_submit(model, &options, &request, &error), LLMRT_INVALID_ARGUMENT) << "no prompt";
  const int32_t bad[] = {99};
  options.prompt = bad;
  options.prompt_count = 1;
  EXPECT_EQ(llmrt_submit(model, &options, &request, &error), LLMRT_INVALID_ARGUMENT) << "not an id";
  EXPECT_EQ(request, nullptr);
  size_t count = 0;
  EXPECT_EQ(llmrt_tokenize(model, "x", 1, 1, nullptr, 0, &count, &error), LLMRT_UNSUPPORTED);
  EXPECT_NE(std::string(error.message).find("tokenizer"), std::string::npos);
}

TEST_F(CApi, ClosingCancelsWhatRuns) {
  ASSERT_EQ(open(), LLMRT_OK) << error.message;
  EXPECT_EQ(run({1}, 3), expected({1}, 3));
  llmrt_close(nullptr);
  llmrt_release(nullptr);
  llmrt_cancel(nullptr);
}

} // namespace
