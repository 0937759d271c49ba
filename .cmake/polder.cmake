# polder_module(): one folder is one target, one namespace, one include root.
#
#   polder_module(homeserver/protocol/events LEVEL 2 DEPS homeserver/base/json homeserver/base/crypto LIBS PkgConfig::SODIUM)
#
# (a) A dependency that is unknown or not on a lower level stops the configuration.
# (b) The module's folder is reachable only through its own include root, so a header of a module
#     that was not named (directly or through a named one) is "file not found";
#     tests/architecture refuses the indirect ones.
# (c) COROUTINES picks the precompiled header that has Asio's awaitable, a level above 2 the one that
#     has the headers of the house; neither changes anything else.
# (d) THREAD_TESTS names the unit tests with more than one thread: the threads lane builds no others.
# (e) TEST_DEPS names what the unit tests use besides, of any level: a reader's tests write first.
# (f) With POLDER_JOIN the sources of modules with coroutines are compiled six at a time, in the lane
#     everyday twelve: what costs is to instantiate them, and that is done once for all of them. So
#     names in unnamed namespaces are unique in such a module.
# (g) Every *.cc is part of the module, but for *_test.cc (its unit tests) and main.cc.

function(polder_module path)
  cmake_parse_arguments(M "COROUTINES" "LEVEL" "DEPS;TEST_DEPS;THREAD_TESTS;LIBS" ${ARGN})
  if(M_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "polder_module(${path}): unknown words: ${M_UNPARSED_ARGUMENTS}")
  endif()
  string(REPLACE "/" "_" target "polder_${path}")
  set(include_root "${CMAKE_BINARY_DIR}/include/${target}")
  get_filename_component(parent "${include_root}/${path}" DIRECTORY)
  file(MAKE_DIRECTORY "${parent}")
  file(CREATE_LINK "${CMAKE_SOURCE_DIR}/${path}" "${include_root}/${path}" SYMBOLIC)

  set(kind "")
  if(M_LEVEL GREATER 2)
    string(APPEND kind "house_")
  endif()
  if(M_COROUTINES)
    string(APPEND kind "task_")
  endif()
  set(pch polder_${kind}pch)
  set(test_pch polder_${kind}test_pch)

  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${path}/*.cc")
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "(_test|/main)\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  if(POLDER_LANE STREQUAL "threads")
    set(tests "")
    foreach(test ${M_THREAD_TESTS})
      list(APPEND tests "${CMAKE_SOURCE_DIR}/${path}/${test}")
    endforeach()
  endif()

  if(sources)
    add_library(${target} STATIC ${sources})
    set(scope PUBLIC)
    target_precompile_headers(${target} REUSE_FROM ${pch})
    polder_optimise(${target} ${M_COROUTINES})
    polder_join(${target} ${M_COROUTINES})
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(${target} ${scope} "${include_root}")
  target_link_libraries(${target} ${scope} polder_options)
  if(sources AND M_LIBS)
    target_link_libraries(${target} PRIVATE ${M_LIBS})
  endif()
  foreach(dep ${M_DEPS})
    polder_require_lower(${path} ${M_LEVEL} ${dep})
    string(REPLACE "/" "_" dep_target "polder_${dep}")
    target_link_libraries(${target} ${scope} ${dep_target})
  endforeach()
  set_property(GLOBAL PROPERTY POLDER_LEVEL_${path} ${M_LEVEL})
  set_property(GLOBAL APPEND PROPERTY POLDER_MODULES "${path}|${M_LEVEL}|${M_DEPS}")

  if(tests AND POLDER_TESTS)
    add_executable(${target}_test ${tests})
    target_precompile_headers(${target}_test REUSE_FROM ${test_pch})
    polder_optimise(${target}_test ${M_COROUTINES})
    polder_join(${target}_test ${M_COROUTINES})
    target_link_libraries(${target}_test PRIVATE ${target} ${M_LIBS} GTest::gtest GTest::gtest_main)
    foreach(dep ${M_TEST_DEPS})
      string(REPLACE "/" "_" dep_target "polder_${dep}")
      target_link_libraries(${target}_test PRIVATE ${dep_target})
    endforeach()
    add_test(NAME ${path} COMMAND ${target}_test)
  endif()
endfunction()

# As its precompiled header was: see the lanes in CMakeLists.txt.
function(polder_optimise target coroutines)
  if(POLDER_LANE STREQUAL "sanitize" AND NOT coroutines)
    target_compile_options(${target} PRIVATE -O1)
  endif()
endfunction()

function(polder_join target coroutines)
  if(POLDER_JOIN AND coroutines)
    set(size 6)
    if(POLDER_LANE STREQUAL "everyday")
      set(size 12)
    endif()
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${size})
  endif()
endfunction()

function(polder_require_lower path level dep)
  get_property(dep_level GLOBAL PROPERTY POLDER_LEVEL_${dep})
  if(NOT DEFINED dep_level OR dep_level STREQUAL "")
    message(FATAL_ERROR "${path} (level ${level}) names ${dep}, which is no module declared before it.")
  endif()
  if(NOT dep_level LESS level)
    message(FATAL_ERROR "${path} (level ${level}) must not depend on ${dep} (level ${dep_level}): numbers only go down.")
  endif()
endfunction()
