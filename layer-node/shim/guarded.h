// The border between C++'s exceptions and Rust: a function returns null, or a message that the caller frees.
#pragma once
#include <cstring>
#include <exception>

template <typename F>
char* guarded(F&& body) {
  try {
    body();
    return nullptr;
  } catch (const std::exception& error) {
    return strdup(error.what());
  }
}
