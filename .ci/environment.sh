# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Source this (bash) to use what `make build` made: . .ci/environment.sh
sam2_ros_checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$sam2_ros_checkout/.venv/bin/activate"
if [ -e "$sam2_ros_checkout/.venv/share/rclpy" ]; then
  # ROS 2 from wheels: nothing else sets these. (ROS_DISTRO stays unset: it says that a ROS 2 is installed.)
  export ROS_VERSION=2 ROS_PYTHON_VERSION=3
  export AMENT_PREFIX_PATH=$sam2_ros_checkout/.venv CMAKE_PREFIX_PATH=$sam2_ros_checkout/.venv
  export LD_LIBRARY_PATH=$sam2_ros_checkout/.venv/lib
fi
[ ! -e "$sam2_ros_checkout/install/setup.bash" ] || . "$sam2_ros_checkout/install/setup.bash"
unset sam2_ros_checkout
