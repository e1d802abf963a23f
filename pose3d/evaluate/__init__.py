"""How good it is: keypoints against COCO's measure, joints against motion capture."""
