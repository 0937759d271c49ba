# polder_bench(): one module's micro benchmarks, in the release lane only.
#
#   polder_bench(events DEPS homeserver/protocol/events)
#
# builds bench/events_bench.cc into polder_bench_events and registers the test bench/events: the
# same benchmarks over tiny inputs (--smoke), so that they cannot rot. `./dev bench` runs them whole.
# ALONE: of a module that is measured without a homeserver, which then need not be built.

function(polder_bench_support)
  set(include_root "${CMAKE_BINARY_DIR}/include/polder_bench_support")
  file(MAKE_DIRECTORY "${include_root}/bench")
  file(CREATE_LINK "${CMAKE_SOURCE_DIR}/bench/support" "${include_root}/bench/support" SYMBOLIC)
  add_library(polder_bench_base STATIC bench/support/bench.cc)
  target_precompile_headers(polder_bench_base REUSE_FROM polder_pch)
  target_include_directories(polder_bench_base PUBLIC "${include_root}")
  target_link_libraries(polder_bench_base PUBLIC polder_homeserver_base_crypto benchmark::benchmark)
  add_library(polder_bench_support STATIC bench/support/big_room.cc bench/support/local_server.cc
    bench/support/state_models.cc)
  target_precompile_headers(polder_bench_support REUSE_FROM polder_house_task_pch)
  target_link_libraries(polder_bench_support PUBLIC polder_bench_base polder_homeserver_server)
endfunction()

function(polder_bench name)
  cmake_parse_arguments(B "ALONE" "" "DEPS;LIBS" ${ARGN})
  if(B_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "polder_bench(${name}): unknown words: ${B_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT TARGET polder_bench_support)
    polder_bench_support()
  endif()
  set(target "polder_bench_${name}")
  add_executable(${target} "${CMAKE_SOURCE_DIR}/bench/${name}_bench.cc")
  if(B_ALONE)
    target_precompile_headers(${target} REUSE_FROM polder_pch)
    target_link_libraries(${target} PRIVATE polder_bench_base ${B_LIBS})
  else()
    target_precompile_headers(${target} REUSE_FROM polder_house_task_pch)
    target_link_libraries(${target} PRIVATE polder_bench_support ${B_LIBS})
  endif()
  foreach(dep ${B_DEPS})
    string(REPLACE "/" "_" dep_target "polder_${dep}")
    target_link_libraries(${target} PRIVATE ${dep_target})
  endforeach()
  add_test(NAME bench/${name} COMMAND ${target} --smoke)
endfunction()

# bench/load: the load generator, a program of its own that knows the client-server API only.
function(polder_bench_load)
  set(include_root "${CMAKE_BINARY_DIR}/include/polder_load")
  file(MAKE_DIRECTORY "${include_root}/bench")
  file(CREATE_LINK "${CMAKE_SOURCE_DIR}/bench/load" "${include_root}/bench/load" SYMBOLIC)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/bench/load/*.cc")
  add_executable(polder_load ${sources})
  target_precompile_headers(polder_load REUSE_FROM polder_house_task_pch)
  target_include_directories(polder_load PRIVATE "${include_root}")
  target_link_libraries(polder_load PRIVATE polder_homeserver_base_egress polder_homeserver_base_http polder_homeserver_base_json
    polder_homeserver_base_runtime polder_homeserver_base_values CLI11::CLI11 fmt::fmt)
  add_test(NAME bench/load
    COMMAND python3 ${CMAKE_SOURCE_DIR}/bench/load_test.py $<TARGET_FILE:polder> $<TARGET_FILE:polder_load>)
endfunction()

# bench/resolution: cases of state resolution for another implementation to resolve as well.
function(polder_resolution_cases)
  add_executable(polder_resolution_cases bench/resolution/cases.cc)
  target_precompile_headers(polder_resolution_cases REUSE_FROM polder_house_pch)
  target_link_libraries(polder_resolution_cases PRIVATE polder_homeserver_protocol_dag GTest::gtest)
endfunction()
