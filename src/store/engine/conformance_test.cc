// The conformance suite on the engines of one node.
#include "store/engine/testing/conformance.h"
#include "store/engine/testing/conformance_history.h"
#include "store/engine/testing/conformance_model.h"
#include "store/engine/testing/conformance_work.h"
#include "store/engine/testing/local_engine.h"

namespace hongyan::store::conformance {

INSTANTIATE_TEST_SUITE_P(Engines, Conformance, ::testing::Values(log_engine(), rocks_engine()),
                         [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(Engines, ModelConformance, ::testing::Values(log_engine(), rocks_engine()),
                         [](const auto& info) { return info.param.name; });

}  // namespace hongyan::store::conformance
