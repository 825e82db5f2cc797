#include "sim/batch.h"

int main(int argc, char** argv) { return hongyan::sim::batch_main(argc, argv); }
