# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start RViz with the pictures of a running SAM 2 node and a tool to click into the scene.

    ros2 launch sam2_ros sam2_rviz.launch.py image:=/camera/image_raw points:=/camera/points

`ros2 launch sam2_ros sam2_rviz.launch.py --show-args` lists the arguments.
"""

from __future__ import annotations

import os

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and RViz."""
    return LaunchDescription([
        DeclareLaunchArgument(
            'rviz_config',
            default_value=PathJoinSubstitution(
                [FindPackageShare('sam2_ros'), 'config', 'sam2.rviz']),
            description='Configuration of RViz.'),
        DeclareLaunchArgument(
            'fixed_frame', default_value='',
            description='Fixed frame of RViz; clicks are published in it. Empty: the one of'
                        ' rviz_config.'),
        DeclareLaunchArgument(
            'image', default_value='image', description='Topic of the camera images.'),
        DeclareLaunchArgument(
            'points', default_value='points',
            description='Topic of a point cloud: the surface that Publish Point clicks on.'),
        DeclareLaunchArgument(
            'clicked_point', default_value='clicked_point',
            description='Topic on which Publish Point publishes.'),
        DeclareLaunchArgument(
            'namespace', default_value='', description='Namespace of the SAM 2 node.'),
        DeclareLaunchArgument(
            'node_name', default_value='sam2', description='Name of the SAM 2 node.'),
        DeclareLaunchArgument(
            'use_sim_time', default_value='false', choices=['true', 'false'],
            description='Take the time from /clock (simulation, bag).'),
        OpaqueFunction(function=_start_rviz),
    ])


def _start_rviz(context: LaunchContext) -> list[Action]:
    """Return RViz, or raise RuntimeError with what to install."""
    try:
        get_package_prefix('rviz2')
    except PackageNotFoundError:
        distribution = os.environ.get('ROS_DISTRO', '$ROS_DISTRO')
        raise RuntimeError(
            f'RViz is not installed: sudo apt install ros-{distribution}-rviz2') from None
    value = context.launch_configurations
    arguments = ['--display-config', value['rviz_config']]
    if value['fixed_frame']:
        arguments += ['--fixed-frame', value['fixed_frame']]
    node = value['node_name']
    return [
        Node(
            package='rviz2',
            executable='rviz2',
            namespace=value['namespace'],
            arguments=arguments,
            parameters=[{
                'use_sim_time': ParameterValue(
                    LaunchConfiguration('use_sim_time'), value_type=bool)}],
            remappings=[
                ('image', value['image']),
                ('points', value['points']),
                ('clicked_point', value['clicked_point']),
                ('sam2/overlay', f'{node}/overlay'),
                ('sam2/label_image', f'{node}/label_image'),
            ],
            output='screen'),
    ]
