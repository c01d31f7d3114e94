"""Both stages on new videos, `orn predict`: windows, predictions, the film and the page.

May import `shared`, `stage1_detect` and `stage2_train`.
"""

if __name__ != "orn.predict_videos":
    raise ImportError("expected `import orn.predict_videos`, got `import predict_videos`")
