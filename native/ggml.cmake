# SPDX-License-Identifier: Apache-2.0
# The ggml libraries of the llama-cpp-python wheel in LLAMA_CPP_DIR, as the target edgestream_ggml.
# Its headers lie in the wheel's data folder, site-packages/include.
find_library(GGML_LIBRARY ggml PATHS "${LLAMA_CPP_DIR}/lib" NO_DEFAULT_PATH REQUIRED)
find_library(GGML_BASE_LIBRARY ggml-base PATHS "${LLAMA_CPP_DIR}/lib" NO_DEFAULT_PATH REQUIRED)
find_path(GGML_INCLUDE_DIR ggml.h
  PATHS "${LLAMA_CPP_DIR}/../include" "${LLAMA_CPP_DIR}/include" NO_DEFAULT_PATH REQUIRED)
add_library(edgestream_ggml INTERFACE)
target_include_directories(edgestream_ggml SYSTEM INTERFACE "${GGML_INCLUDE_DIR}")
target_link_libraries(edgestream_ggml INTERFACE "${GGML_LIBRARY}" "${GGML_BASE_LIBRARY}")
