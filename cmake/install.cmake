# What `cmake --install` puts where C and C++ programs find it: header, library, pkg-config file, CMake package.
include(CMakePackageConfigHelpers)

set(cslice_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/cslice)
set(cslice_pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(TARGETS cslice EXPORT cslice-targets)
install(FILES csrc/cslice.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

install(EXPORT cslice-targets NAMESPACE cslice:: DESTINATION ${cslice_package_dir})
configure_package_config_file(cmake/cslice-config.cmake.in cslice-config.cmake INSTALL_DESTINATION ${cslice_package_dir})
write_basic_package_version_file(cslice-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/cslice-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/cslice-config-version.cmake
        DESTINATION ${cslice_package_dir})

# Relative to itself, so that a prefix given at the installation, or moved later, is right.
file(RELATIVE_PATH cslice_pc_to_prefix /prefix/${cslice_pc_dir} /prefix)
string(REGEX REPLACE "/$" "" cslice_pc_to_prefix ${cslice_pc_to_prefix})
configure_file(cmake/cslice.pc.in cslice.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/cslice.pc DESTINATION ${cslice_pc_dir})
