// The conformance suite on the engines of one node.
#include "store/engine/conformance.h"
#include "store/engine/conformance_history.h"
#include "store/engine/conformance_model.h"
#include "store/engine/conformance_work.h"
#include "store/engine/engines_for_test.h"

namespace hongyan::store::conformance {

INSTANTIATE_TEST_SUITE_P(Engines, Conformance, ::testing::Values(log_engine(), rocks_engine()),
                         [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(Engines, ModelConformance, ::testing::Values(log_engine(), rocks_engine()),
                         [](const auto& info) { return info.param.name; });

}  // namespace hongyan::store::conformance
