# polder_simulation(): several whole homeservers in one process, out of tests/simulation.
#
#   polder_simulation(DEPS homeserver/server SEEDS 200)
#
# builds the library polder_simulation, its unit tests (*_test.cc, the test simulation/harness) and
# the program polder_simulate (main.cc), and registers the test simulation/seeds: SEEDS histories,
# under sanitizers a twentieth of them. The simulation is one thread: the threads lane has nothing to
# find there.

function(polder_simulation)
  cmake_parse_arguments(S "" "SEEDS" "DEPS" ${ARGN})
  if(S_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "polder_simulation(): unknown words: ${S_UNPARSED_ARGUMENTS}")
  endif()
  if(POLDER_LANE STREQUAL "threads" OR NOT POLDER_TESTS)
    return()
  endif()
  set(path tests/simulation)
  set(include_root "${CMAKE_BINARY_DIR}/include/polder_simulation")
  file(MAKE_DIRECTORY "${include_root}/tests")
  file(CREATE_LINK "${CMAKE_SOURCE_DIR}/${path}" "${include_root}/${path}" SYMBOLIC)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${path}/*.cc")
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "(_test|/main)\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")

  add_library(polder_simulation STATIC ${sources})
  target_precompile_headers(polder_simulation REUSE_FROM polder_house_task_pch)
  polder_join(polder_simulation TRUE)
  target_include_directories(polder_simulation PUBLIC "${include_root}")
  target_link_libraries(polder_simulation PUBLIC polder_options)
  foreach(dep ${S_DEPS})
    string(REPLACE "/" "_" dep_target "polder_${dep}")
    target_link_libraries(polder_simulation PUBLIC ${dep_target})
  endforeach()
  add_executable(polder_simulate "${CMAKE_SOURCE_DIR}/${path}/main.cc")
  target_link_libraries(polder_simulate PRIVATE polder_simulation)
  add_executable(polder_simulation_test ${tests})
  target_precompile_headers(polder_simulation_test REUSE_FROM polder_house_task_test_pch)
  target_link_libraries(polder_simulation_test PRIVATE polder_simulation GTest::gtest GTest::gtest_main)

  set(seeds ${S_SEEDS})
  if(POLDER_LANE STREQUAL "sanitize")
    math(EXPR seeds "${S_SEEDS} / 20")
  endif()
  add_test(NAME simulation/harness COMMAND polder_simulation_test)
  add_test(NAME simulation/seeds COMMAND polder_simulate --seeds ${seeds} --servers 5 --hostile 2)
endfunction()

# polder_power(): a homeserver that loses its power, out of tests/crash.
#
#   polder_power(ROUNDS 20)
#
# builds the program polder_power and registers the test crash/power, under sanitizers with a
# quarter of the rounds. Call it after polder_simulation(), whose network it uses.

function(polder_power)
  cmake_parse_arguments(P "" "ROUNDS" "" ${ARGN})
  if(P_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "polder_power(): unknown words: ${P_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT TARGET polder_simulation)
    return()
  endif()
  set(include_root "${CMAKE_BINARY_DIR}/include/polder_power")
  file(MAKE_DIRECTORY "${include_root}/tests")
  file(CREATE_LINK "${CMAKE_SOURCE_DIR}/tests/crash" "${include_root}/tests/crash" SYMBOLIC)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/crash/*.cc")
  add_executable(polder_power ${sources})
  target_precompile_headers(polder_power REUSE_FROM polder_house_task_pch)
  target_include_directories(polder_power PRIVATE "${include_root}")
  target_link_libraries(polder_power PRIVATE polder_simulation)
  set(rounds ${P_ROUNDS})
  if(POLDER_LANE STREQUAL "sanitize")
    math(EXPR rounds "${P_ROUNDS} / 4")
  endif()
  add_test(NAME crash/power COMMAND polder_power --rounds ${rounds})
  # RocksDB loses memory when it cannot begin a new write log: not ours to report.
  set_tests_properties(crash/power PROPERTIES TIMEOUT 300 ENVIRONMENT ASAN_OPTIONS=detect_leaks=0)
endfunction()
