# polder_api_tests(): the tests of one API, through its routes, out of tests.
#
#   polder_api_tests(client OF homeserver/api/client DEPS homeserver/server SHARES 2)
#
# builds tests/client/*_test.cc into polder_client_test and registers the test client, or as many
# shares of it, client/1 and so on, that run side by side. They stand one
# to one with the files of routes of the module that they are OF (tests/architecture/apis_test.py),
# and `./dev test homeserver/api/client` runs them too. What they are made with stands in the folders
# `testing` of the modules. They have one thread: the threads lane has nothing to find there.

function(polder_api_tests name)
  cmake_parse_arguments(A "" "OF;SHARES" "DEPS" ${ARGN})
  if(A_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "polder_api_tests(${name}): unknown words: ${A_UNPARSED_ARGUMENTS}")
  endif()
  if(POLDER_LANE STREQUAL "threads" OR NOT POLDER_TESTS)
    return()
  endif()
  file(GLOB tests CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/${name}/*_test.cc")
  set(target "polder_${name}_test")
  add_executable(${target} ${tests})
  target_precompile_headers(${target} REUSE_FROM polder_house_task_test_pch)
  polder_join(${target} TRUE)
  target_link_libraries(${target} PRIVATE GTest::gtest GTest::gtest_main)
  foreach(dep ${A_OF} ${A_DEPS})
    string(REPLACE "/" "_" dep_target "polder_${dep}")
    target_link_libraries(${target} PRIVATE ${dep_target})
  endforeach()
  if(NOT A_SHARES)
    add_test(NAME ${name} COMMAND ${target})
    return()
  endif()
  foreach(share RANGE 1 ${A_SHARES})
    math(EXPR index "${share} - 1")
    add_test(NAME ${name}/${share} COMMAND ${target})
    set_tests_properties(${name}/${share} PROPERTIES
      ENVIRONMENT "GTEST_TOTAL_SHARDS=${A_SHARES};GTEST_SHARD_INDEX=${index}")
  endforeach()
endfunction()
