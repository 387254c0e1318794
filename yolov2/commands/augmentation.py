"""Options of the random changes of training images, for training and for its preview."""

AUGMENT = {
    "hue": "greatest shift, as a share of the colour circle",
    "saturation": "greatest factor, and its inverse the smallest",
    "exposure": "greatest factor of HSV's value, and its inverse the smallest",
    "brightness": "greatest relative change",
    "contrast": "greatest relative change",
    "flip": "share of mirrored images; 0 where left and right matter (digits, signs)",
    "jitter": "greatest relative change of width and height, for another aspect",
    "scale": "range of the size, relative to the letterboxed image",
    "translate": "how much of the free room the image is moved in; 0: centred",
    "min_visible": "share of its area below which a cut box is left out",
    "mosaic": "share of images made of four",
    "mixup": "share of images with a second one laid over",
    "mixup_alpha": "of the Beta distribution of its weight",
    "mosaic_off_epochs": "last epochs without mosaic and mixup",
    "augment_on": "where colours and mirroring are computed: by the readers, or on the device",
}
