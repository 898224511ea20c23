// NVIDIA's driver, asked without its headers: whether there is one, and which GPUs it has. Torch's own words for the lack
// of a driver are a warning on stderr.
#include <cstdint>
#include <cstring>
#include <dlfcn.h>
#include <string>

namespace {
void* library() {
  static void* loaded = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  return loaded;
}

// Calls a function of the driver; 0 is success. A driver without the function is too old for anything here.
template <typename... Arguments>
int call(const char* name, Arguments... arguments) {
  auto function = reinterpret_cast<int (*)(Arguments...)>(dlsym(library(), name));
  return function ? function(arguments...) : -1;
}

char* said(int code) {
  const char* text = nullptr;
  call("cuGetErrorString", code, &text);
  return strdup(text ? text : ("error " + std::to_string(code)).c_str());
}
}  // namespace

extern "C" {

// Whether there is a driver; otherwise the loader's words.
char* neuropil_driver_load() {
  if (library()) return nullptr;
  // The loader tells its words once.
  const char* why = dlerror();
  return strdup(why ? why : "libcuda.so.1 cannot be loaded");
}

// Starts the driver, and counts its GPUs.
char* neuropil_driver_count(int* count) {
  int code = call("cuInit", 0u);
  if (code == 0) code = call("cuDeviceGetCount", count);
  return code == 0 ? nullptr : said(code);
}

// The name of a GPU, as text of at most `length` bytes with its end, and its memory in bytes.
char* neuropil_driver_gpu(int index, char* name, int length, uint64_t* bytes) {
  int device = 0;
  size_t memory = 0;
  int code = call("cuDeviceGet", &device, index);
  if (code == 0) code = call("cuDeviceGetName", name, length, device);
  if (code == 0) code = call("cuDeviceTotalMem_v2", &memory, device);
  *bytes = memory;
  return code == 0 ? nullptr : said(code);
}
}
