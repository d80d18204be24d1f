// The expected values are those of transformers 5.23.0 with torch 2.13.0 on a CPU:
//   ROPE_INIT_FUNCTIONS[rope_type](LlamaConfig(head_dim=dim, rope_parameters={...}), "cpu"), printed with %.9g.
#include "codegen/lowering/RopeFrequencies.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace llmc;

namespace {

class RopeFrequencies : public testing::Test {
protected:
  RopeFrequencies() { context.loadDialect<llm::LlmDialect>(); }

  llm::RopeAttr rope(int64_t dim, double base, llvm::StringRef scaling, double factor = 1, double low = 1,
                     double high = 1, int64_t original = 0, double fast = 32, double slow = 1, bool truncate = true) {
    return llm::RopeAttr::get(&context, dim, base, llm::RopeKind::Half, scaling, factor, low, high, original, fast, slow,
                              1.0, truncate);
  }

  // Torch's pow differs from the rounded result by an ulp now and then, and the interpolations carry that on.
  void expectClose(llm::RopeAttr attribute, const std::vector<float> &expected) {
    std::vector<float> actual = ropeFrequencies(attribute);
    ASSERT_EQ(actual.size(), expected.size());
    for (size_t i = 0; i < actual.size(); ++i)
      EXPECT_NEAR(actual[i], expected[i], 5e-7 * expected[i]) << "frequency " << i;
  }

  mlir::MLIRContext context;
};

TEST_F(RopeFrequencies, Default) {
  expectClose(rope(32, 1e4, "default"),
              {1.0f, 0.562341332f, 0.316227764f, 0.177827939f, 0.100000001f, 0.0562341288f, 0.0316227786f,
                   0.0177827943f, 0.00999999978f, 0.00562341325f, 0.00316227786f, 0.00177827943f,
                   0.00100000005f, 0.000562341302f, 0.000316227786f, 0.00017782794f});
}

TEST_F(RopeFrequencies, DynamicStartsFromTheDefault) {
  EXPECT_EQ(ropeFrequencies(rope(32, 1e4, "dynamic", 2, 1, 1, 512)), ropeFrequencies(rope(32, 1e4, "default")));
}

TEST_F(RopeFrequencies, Linear) {
  expectClose(rope(64, 1e4, "linear", 4),
              {0.25f, 0.18747355f, 0.140585333f, 0.105424128f, 0.079056941f, 0.0592843406f, 0.0444569848f,
                   0.0333380364f, 0.0250000004f, 0.0187473539f, 0.0140585322f, 0.0105424123f, 0.00790569466f,
                   0.00592843397f, 0.00444569858f, 0.00333380373f, 0.00249999994f, 0.00187473558f,
                   0.00140585331f, 0.00105424121f, 0.000790569466f, 0.000592843455f, 0.000444569858f,
                   0.000333380362f, 0.000250000012f, 0.000187473546f, 0.000140585325f, 0.000105424122f,
                   7.90569466e-05f, 5.92843462e-05f, 4.44569851e-05f, 3.33380376e-05f});
}

TEST_F(RopeFrequencies, Llama3) {
  expectClose(rope(64, 5e5, "llama3", 32, 1, 4, 8192),
              {1.0f, 0.663601279f, 0.440366626f, 0.292227834f, 0.193922758f, 0.128687382f, 0.0853971019f,
                   0.0566696189f, 0.0376060307f, 0.0249554086f, 0.0165604409f, 0.0109895291f, 0.00729266508f,
                   0.00483942125f, 0.00321144611f, 0.00129054801f, 0.000429556705f, 9.70828623e-05f,
                   1.94616387e-05f, 1.29147675e-05f, 8.57025589e-06f, 5.68723226e-06f, 3.77405445e-06f,
                   2.50446715e-06f, 1.66196742e-06f, 1.10288363e-06f, 7.31874934e-07f, 4.85673127e-07f,
                   3.22293289e-07f, 2.1387423e-07f, 1.41927202e-07f, 9.41830649e-08f});
}

TEST_F(RopeFrequencies, Yarn) {
  expectClose(rope(128, 1e6, "yarn", 4, 1, 1, 32768),
              {1.0f, 0.805842221f, 0.649381638f, 0.523299158f, 0.421696514f, 0.339820832f, 0.273841977f,
                   0.220673397f, 0.177827939f, 0.143301263f, 0.115478203f, 0.0930572003f, 0.0749894157f,
                   0.0604296438f, 0.0486967526f, 0.0392418988f, 0.0316227786f, 0.0254829675f, 0.0205352511f,
                   0.0165481716f, 0.0133352149f, 0.0107460786f, 0.00865964312f, 0.00697830599f,
                   0.00537532149f, 0.0041317381f, 0.00316842273f, 0.00242342241f, 0.00184827659f,
                   0.00140511245f, 0.00106436096f, 0.000802959781f, 0.000602941145f, 0.000450323569f,
                   0.000334240554f, 0.000246258394f, 0.000179841154f, 0.00012993149f, 9.26230132e-05f,
                   6.4903943e-05f, 4.44569851e-05f, 3.58253164e-05f, 2.88695483e-05f, 2.32643015e-05f,
                   1.87473561e-05f, 1.51074091e-05f, 1.21741887e-05f, 9.81047469e-06f, 7.90569356e-06f,
                   6.37074163e-06f, 5.13381246e-06f, 4.13704265e-06f, 3.33380353e-06f, 2.68651957e-06f,
                   2.16491094e-06f, 1.74457659e-06f, 1.40585337e-06f, 1.13289593e-06f, 9.1293532e-07f,
                   7.35681795e-07f, 5.92843435e-07f, 4.7773824e-07f, 3.84981632e-07f, 3.10234441e-07f});
}

TEST_F(RopeFrequencies, YarnWithoutTruncation) {
  expectClose(rope(64, 1e4, "yarn", 8, 1, 1, 2048, 16, 2, false),
              {1.0f, 0.749894202f, 0.562341332f, 0.421696514f, 0.316227764f, 0.237137362f, 0.177827939f,
                   0.133352146f, 0.100000001f, 0.0749894157f, 0.0562341288f, 0.0394742489f, 0.0257716179f,
                   0.0164539684f, 0.0101850266f, 0.00602263911f, 0.00330522214f, 0.00157035538f,
                   0.000702926656f, 0.000527120603f, 0.000395284733f, 0.000296421727f, 0.000222284929f,
                   0.000166690181f, 0.000125000006f, 9.37367731e-05f, 7.02926627e-05f, 5.2712061e-05f,
                   3.95284733e-05f, 2.96421731e-05f, 2.22284925e-05f, 1.66690188e-05f});
}

TEST(ExactMath, AgreesWithTheLibraryToAnUlp) {
  for (double x : {1e-300, 3e-9, 0.1, 0.5, 0.70710678, 1.0, 1.0000001, 2.718281828, 10.0, 5e5, 1e300})
    EXPECT_NEAR(exactmath::log(x), std::log(x), 4e-16 * std::abs(std::log(x)) + 1e-18) << x;
  for (double x : {-699.0, -20.25, -1.0, -1e-9, 0.0, 1e-9, 0.3465, 0.3466, 1.0, 13.1, 699.0})
    EXPECT_NEAR(exactmath::exp(x) / std::exp(x), 1.0, 5e-16) << x;
}

} // namespace
