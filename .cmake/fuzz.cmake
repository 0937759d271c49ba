# polder_fuzz(): one libFuzzer target out of tests/fuzz, in the sanitize lane only.
#
#   polder_fuzz(json DEPS homeserver/base/json RUNS 20000)
#
# builds tests/fuzz/json_fuzz.cc and registers the test fuzz/json: every file of
# tests/fuzz/corpus/json, and then a bounded number of mutations from a fixed seed. The corpus is
# read only: without a corpus folder, libFuzzer keeps nothing that it finds. To search for longer:
#   build/sanitize/polder_fuzz_json FOLDER tests/fuzz/corpus/json
#
# SEEDED: the target makes its inputs from a few bytes. The release lane then has it too, optimised,
# and the same test over so many numbers; for more of them:
#   build/release/polder_fuzz_json_differential FIRST COUNT

function(polder_fuzz name)
  cmake_parse_arguments(F "" "RUNS;SEEDED" "DEPS" ${ARGN})
  if(F_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "polder_fuzz(${name}): unknown words: ${F_UNPARSED_ARGUMENTS}")
  endif()
  if(F_SEEDED AND POLDER_LANE STREQUAL "release" AND POLDER_TESTS)
    polder_fuzz_seeded(${name} ${F_SEEDED} ${F_DEPS})
  endif()
  if(NOT POLDER_LANE STREQUAL "sanitize" OR NOT POLDER_TESTS)
    return()
  endif()
  file(GLOB seeds CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name}/*")
  if(NOT seeds)
    message(FATAL_ERROR "polder_fuzz(${name}): tests/fuzz/corpus/${name} is empty.")
  endif()
  list(JOIN seeds "," seed_inputs)

  set(target "polder_fuzz_${name}")
  add_executable(${target} "${CMAKE_SOURCE_DIR}/tests/fuzz/${name}_fuzz.cc")
  target_compile_options(${target} PRIVATE -O1 -fsanitize=fuzzer)
  target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  foreach(dep ${F_DEPS})
    string(REPLACE "/" "_" dep_target "polder_${dep}")
    target_link_libraries(${target} PRIVATE ${dep_target})
    # What is fuzzed has to report which of its branches were taken.
    target_compile_options(${dep_target} PRIVATE -fsanitize-coverage=inline-8bit-counters,pc-table,trace-cmp)
  endforeach()
  add_test(NAME fuzz/${name} COMMAND ${target} -runs=${F_RUNS} -seed=1 -max_len=4096
    "-artifact_prefix=${CMAKE_BINARY_DIR}/" "-seed_inputs=${seed_inputs}")
endfunction()

function(polder_fuzz_seeded name count)
  set(target "polder_fuzz_${name}")
  add_executable(${target} "${CMAKE_SOURCE_DIR}/tests/fuzz/${name}_fuzz.cc" "${CMAKE_SOURCE_DIR}/tests/fuzz/seeded_main.cc")
  target_precompile_headers(${target} REUSE_FROM polder_pch)
  foreach(dep ${ARGN})
    string(REPLACE "/" "_" dep_target "polder_${dep}")
    target_link_libraries(${target} PRIVATE ${dep_target})
  endforeach()
  add_test(NAME fuzz/${name} COMMAND ${target} 0 ${count})
endfunction()
