# SPDX-License-Identifier: Apache-2.0
# What is left out of the build of llama-cpp-python, which reads this file first if it is named in
# CMAKE_ARGS, as the Makefile does. ggml and libllama are the same code with it and without.

# llama.cpp's chat formats, downloads and command line. The package asks for them in CMake's cache;
# a plain variable wins over the cache.
set(LLAMA_BUILD_COMMON OFF)

# libmtmd has 44 small files, one for each kind of model, that all read the same headers. Sixteen at
# a time are compiled as one, as llama.cpp itself does with the files of libllama's models.
function(join_files_of_mtmd)
  get_target_property(folder mtmd SOURCE_DIR)
  file(GLOB alone "${folder}/*.cpp")
  set_source_files_properties(${alone} TARGET_DIRECTORY mtmd
    PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  set_target_properties(mtmd PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 16)
endfunction()
cmake_language(DEFER CALL join_files_of_mtmd)
