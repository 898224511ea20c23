// Tensors over memory that Rust owns.
#include "guarded.h"
#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <memory>

using at::Tensor;

extern "C" {

// A row-major tensor over `data`, which `owner` keeps. `release` takes `owner` once: with the tensor's memory, or here
// where the tensor cannot be made.
char* neuropil_adopt(void* data, const int64_t* shape, size_t dimensions, int kind, void* owner,
                     void (*release)(void*), Tensor** out) {
  return guarded([&] {
    std::shared_ptr<void> kept(owner, release);
    auto options = at::TensorOptions().dtype(static_cast<at::ScalarType>(kind)).device(at::kCPU);
    *out = new Tensor(at::from_blob(data, at::IntArrayRef(shape, dimensions), [kept](void*) {}, options));
  });
}
}
